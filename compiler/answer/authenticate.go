package answer

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// Authentication is what becomes of a request's tokens.
type Authentication struct {
	Passed bool   `json:"passed"`
	Why    string `json:"why"`
	At     string `json:"at,omitempty"` // of the provider
}

// Claim gives the values of a claim, by its model.ClaimName.
func (r *Request) Claim(name string) []string {
	var out []string
	for _, c := range r.Claims {
		if c.Name == name {
			out = append(out, c.Value)
		}
	}
	return out
}

// claimsFor are the values that a condition on a claim is about.
func (r *Request) claimsFor(c model.NamedMatch) []string {
	if slices.ContainsFunc(c.YieldsTo(), r.HasToken) {
		return nil
	}
	return r.Claim(c.Name)
}

// HasToken says that a request carries a valid token of a provider.
func (r *Request) HasToken(provider string) bool {
	return slices.ContainsFunc(r.Claims, func(c model.Header) bool {
		of, _ := model.SplitClaim(c.Name)
		return of == provider
	})
}

// Authenticate asks whether a request has the token that providers require, or
// needs none. Envoy's filter of tokens comes before those of rules. It is nil
// without providers.
func Authenticate(providers []model.JWT, public []model.Rule, r *Request) *Authentication {
	if len(providers) == 0 {
		return nil
	}
	required := model.Requiring(providers)
	at := place(providers[0].Origin)
	for _, name := range required {
		if r.HasToken(name) {
			return &Authentication{Passed: true, Why: "it has a token of " + name, At: place(model.JWTNamed(providers, name).Origin)}
		}
	}
	if len(required) == 0 {
		return &Authentication{Passed: true, Why: "no token is required", At: at}
	}
	for i := range public {
		matches := public[i].Matches()
		if slices.ContainsFunc(matches, func(m model.Match) bool { return Accepts(&m, r) }) {
			return &Authentication{Passed: true, Why: "it is public", At: place(public[i].Origin)}
		}
	}
	return &Authentication{Why: "it has no valid token of " + strings.Join(required, " or "), At: at}
}

// authenticated notes what becomes of tokens, puts claims into headers, and ends a request that by, who
// looks at them, answers with 401.
func (a *asking) authenticated(providers []model.JWT, public []model.Rule, r *Request, by string) bool {
	said := Authenticate(providers, public, r)
	if said == nil {
		return true
	}
	a.out.Authentication = said
	if !said.Passed {
		a.end(Unknown, said.Why+"; "+by+" answers 401")
		return false
	}
	r.Headers = claimed(r, providers)
	return true
}

// claimed are a request's headers once its tokens are verified: under the names
// of claimHeaders there is what the claims are, and nothing else.
func claimed(r *Request, providers []model.JWT) []model.Header {
	names := model.ClaimHeaderNames(providers)
	if len(names) == 0 {
		return r.Headers
	}
	out := slices.DeleteFunc(slices.Clone(r.Headers), func(h model.Header) bool { return slices.Contains(names, strings.ToLower(h.Name)) })
	for i := range providers {
		for _, h := range providers[i].ClaimHeaders {
			claim := model.NamedMatch{Name: model.ClaimName(providers[i].Name, h.Claim), Yields: model.Preceding(providers, providers[i].Name)}
			if values := r.claimsFor(claim); len(values) > 0 {
				out = append(out, model.Header{Name: h.Header, Value: claimText(h.Claim, values)})
			}
		}
	}
	return out
}

// claimText is how Envoy writes a claim: a list as its JSON in base64, but for
// "scope", which is a text.
func claimText(claim string, values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	if claim == "scope" {
		return strings.Join(values, " ")
	}
	list, err := json.Marshal(values)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(list)
}

// takenOut is what a service gets of claims behind a gateway, which takes
// tokens out that it has verified.
func takenOut(claims []model.Header, gateway, service []model.JWT) []model.Header {
	return slices.DeleteFunc(slices.Clone(claims), func(c model.Header) bool {
		provider, _ := model.SplitClaim(c.Name)
		t := model.JWTNamed(service, provider)
		return t != nil && model.TakesOut(gateway, t)
	})
}
