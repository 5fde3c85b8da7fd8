package lower

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/compiler/scope"
)

// Built-in defaults of tokens: Envoy's, written out.
const (
	DefaultClockSkew = time.Minute
	DefaultKeyCache  = 10 * time.Minute
)

// bearer is where RFC 6750 puts tokens.
var bearer = model.TokenPlace{Source: model.TokenHeader, Name: "authorization", Prefix: "Bearer "}

// providers are sorted by name.
func (l *rules) providers(in []*intent.JWT) []model.JWT {
	var out []model.JWT
	for _, t := range in {
		p := model.JWT{
			Name: t.Name.V, Issuer: t.Issuer.V, Audiences: sortedTexts(t.Audiences), Keys: l.jwks(t.JWKS),
			Required: t.Required.V, Forward: scope.Or(t.Forward, false),
			ClockSkew: durationOr(t.ClockSkew, DefaultClockSkew), Origin: t.At,
		}
		for _, f := range t.From {
			p.From = append(p.From, tokenPlace(f))
		}
		if t.From == nil {
			p.From = []model.TokenPlace{bearer}
		}
		for _, h := range t.ClaimHeaders {
			p.ClaimHeaders = append(p.ClaimHeaders, model.ClaimHeader{Header: strings.ToLower(h.Key.V), Claim: h.Value.V})
		}
		slices.SortFunc(p.ClaimHeaders, func(a, b model.ClaimHeader) int { return cmp.Compare(a.Header, b.Header) })
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b model.JWT) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (l *rules) jwks(k *intent.JWKS) model.JWKS {
	if k.File != nil {
		return model.JWKS{File: k.File.V}
	}
	ref := literal.Ref(k.External.V, l.owner.Namespace)
	e := l.scope.External(ref)
	if e == nil {
		panic("lower: intent was not checked: keys of unknown external " + ref.String())
	}
	return model.JWKS{
		External: ref, Port: uint16(scope.KeyPort(e, k).Number.V), Path: k.Path.V, Cache: durationOr(k.Cache, DefaultKeyCache),
	}
}

func tokenPlace(p *intent.TokenPlace) model.TokenPlace {
	switch {
	case p.Header != nil:
		return model.TokenPlace{Source: model.TokenHeader, Name: strings.ToLower(p.Header.V), Prefix: scope.Or(p.Prefix, "")}
	case p.Query != nil:
		return model.TokenPlace{Source: model.TokenQuery, Name: p.Query.V}
	}
	return model.TokenPlace{Source: model.TokenCookie, Name: p.Cookie.V}
}

// public are about everybody.
func (l *rules) public(in []*intent.Rule) []model.Rule { return l.lower(in, true) }

// claims are conditions by the names of model.ClaimName.
func claims(list []*intent.Claims) []model.NamedMatch {
	var out []model.NamedMatch
	for _, p := range list {
		for _, c := range p.Of {
			out = append(out, condition(model.ClaimName(p.Provider.V, c.Name.V), c))
		}
	}
	slices.SortStableFunc(out, reach.CompareNamed)
	return out
}
