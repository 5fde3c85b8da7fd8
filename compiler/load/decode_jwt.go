package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) jwt() *intent.JWT {
	return &intent.JWT{
		Name:         c.name(),
		Issuer:       c.required("issuer").text(),
		Audiences:    c.texts("audiences"),
		JWKS:         c.required("jwks").jwks(),
		From:         each(c.elements("from"), cursor.tokenPlace),
		Required:     c.required("required").truth(),
		Forward:      c.optionalTruth("forward"),
		ClaimHeaders: c.pairs("claimHeaders"),
		ClockSkew:    c.optionalText("clockSkew"),
		At:           c.label(),
	}
}

func (c cursor) jwks() *intent.JWKS {
	return &intent.JWKS{
		External: c.optionalText("external"),
		Port:     c.optionalText("port"),
		Path:     c.optionalText("path"),
		Cache:    c.optionalText("cache"),
		File:     c.optionalText("file"),
		At:       c.label(),
	}
}

func (c cursor) tokenPlace() *intent.TokenPlace {
	return &intent.TokenPlace{
		Header: c.optionalText("header"),
		Prefix: c.optionalText("prefix"),
		Query:  c.optionalText("query"),
		Cookie: c.optionalText("cookie"),
		At:     c.label(),
	}
}

// public reads requests that need no token: the conditions of a rule that
// #PublicRequest has.
func (c cursor) public() *intent.Rule {
	return &intent.Rule{
		Hosts:   c.texts("hosts"),
		Methods: c.texts("methods"),
		Paths:   each(c.elements("paths"), cursor.path),
		At:      c.label(),
	}
}

// claims reads conditions by provider.
func (c cursor) claims() []*intent.Claims {
	return each(c.entries("claims"), func(p cursor) *intent.Claims {
		all, err := p.v.fields()
		if err != nil {
			p.fail(err)
		}
		return &intent.Claims{Provider: p.name(), Of: each(p.sorted(all), cursor.named)}
	})
}
