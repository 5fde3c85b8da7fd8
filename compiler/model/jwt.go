package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// JWT is the tokens of one issuer that a service or gateway verifies (RFC 7519).
type JWT struct {
	Name         string
	Issuer       string
	Audiences    []string // any of; sorted; empty = not looked at
	Keys         JWKS
	From         []TokenPlace
	Required     bool // a request has a valid token of one of those that are required
	Forward      bool
	ClaimHeaders []ClaimHeader // by header
	ClockSkew    time.Duration // whole seconds
	Origin       Origin
}

// JWKS is where keys are: at an external, or in a file on the machine of the proxy.
type JWKS struct {
	External Ref // zero: File
	Port     uint16
	Path     string
	Cache    time.Duration
	File     string
}

// TokenSource is a kind of place that a token is carried in.
type TokenSource string

// Sources.
const (
	TokenHeader TokenSource = "header"
	TokenQuery  TokenSource = "query"
	TokenCookie TokenSource = "cookie"
)

// TokenPlace is where a request carries a token. Headers are in lower case and
// may have text in front of the token.
type TokenPlace struct {
	Source TokenSource
	Name   string
	Prefix string
}

// String gives `header authorization "Bearer "`.
func (p TokenPlace) String() string {
	if p.Prefix == "" {
		return string(p.Source) + " " + p.Name
	}
	return fmt.Sprintf("%s %s %q", p.Source, p.Name, p.Prefix)
}

// ClaimHeader is a header that a request goes on with, and the claim it holds.
type ClaimHeader struct{ Header, Claim string }

// ClaimPath gives the names that lead to a claim, from the outermost object: a
// JSON Pointer (RFC 6901) when it begins with "/", else one name as it is.
func ClaimPath(claim string) []string {
	rest, pointer := strings.CutPrefix(claim, "/")
	if !pointer {
		return []string{claim}
	}
	parts := strings.Split(rest, "/")
	for i, p := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(p)
	}
	return parts
}

// ClaimName names a claim of the tokens of one provider in conditions and
// requests: "main.sub".
func ClaimName(provider, claim string) string { return provider + "." + claim }

// SplitClaim gives the provider and the claim of a ClaimName; a name without a
// claim is the token itself.
func SplitClaim(name string) (provider, claim string) {
	provider, claim, _ = strings.Cut(name, ".")
	return provider, claim
}

// JWTNamed finds a provider by its name; nil without one.
func JWTNamed(list []JWT, name string) *JWT {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// Requiring are those of whose tokens a request needs one.
func Requiring(list []JWT) []string {
	var out []string
	for i := range list {
		if list[i].Required {
			out = append(out, list[i].Name)
		}
	}
	return out
}

// Preceding are the providers whose tokens are taken in place of one of another,
// joined by commas: of several that are required, Envoy (JwtRequirementOrList) is
// content with the first that has a valid token, and looks at no other.
func Preceding(list []JWT, provider string) string {
	required := Requiring(list)
	i := slices.Index(required, provider)
	return strings.Join(required[:max(i, 0)], ",")
}

// YieldsTo are the providers of c.Yields.
func (c NamedMatch) YieldsTo() []string {
	if c.Yields == "" {
		return nil
	}
	return strings.Split(c.Yields, ",")
}

// YieldingClaims says of each condition on a claim to which other providers of
// list it yields.
func YieldingClaims(list []JWT, claims []NamedMatch) {
	for i := range claims {
		provider, _ := SplitClaim(claims[i].Name)
		claims[i].Yields = Preceding(list, provider)
	}
}

// TakesOut says that a proxy that verifies tokens of list lets none of t past:
// wherever one may be it looks, and takes out what it finds. Envoy 1.40 leaves
// cookies as they are, whatever `forward` is, and so does meshc-proxy.
func TakesOut(list []JWT, t *JWT) bool {
	looked := func(at TokenPlace) bool {
		return slices.ContainsFunc(list, func(p JWT) bool {
			return !p.Forward && slices.ContainsFunc(p.From, func(o TokenPlace) bool {
				return at.Source != TokenCookie && o.Source == at.Source && o.Name == at.Name && (o.Prefix == at.Prefix || o.Prefix == "")
			})
		})
	}
	return len(t.From) > 0 && !slices.ContainsFunc(t.From, func(at TokenPlace) bool { return !looked(at) })
}

// Settings lists what t sets, in the order of the schema.
func (t *JWT) Settings() []Setting {
	s := &settings{at: t.Origin}
	s.add("issuer", t.Issuer)
	s.add("audiences", strings.Join(t.Audiences, ", "))
	s.add("jwks", t.Keys.String())
	s.span("jwks.cache", t.Keys.Cache)
	var from []string
	for _, p := range t.From {
		from = append(from, p.String())
	}
	s.add("from", strings.Join(from, ", "))
	s.add("required", fmt.Sprint(t.Required))
	s.add("forward", fmt.Sprint(t.Forward))
	for _, h := range t.ClaimHeaders {
		s.add("claimHeaders."+h.Header, h.Claim)
	}
	s.span("clockSkew", t.ClockSkew)
	return s.list
}

// String says where the keys are.
func (k JWKS) String() string {
	if k.File != "" {
		return "file " + k.File
	}
	return fmt.Sprintf("%s:%d%s", k.External, k.Port, k.Path)
}

// KeySources are the externals that serve the keys of providers, each port once.
func KeySources(list []JWT) []JWKS {
	var out []JWKS
	for _, t := range list {
		k := JWKS{External: t.Keys.External, Port: t.Keys.Port}
		if t.Keys.File == "" && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}
