package behave_test

import (
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

// guarded is a service that lets everybody in who has the token that it asks for.
func guarded(change func(*model.Service)) *model.Service {
	s := &model.Service{
		Ref: model.Ref{Namespace: "shop", Name: "vault"}, Host: "vault", SPIFFEID: "spiffe://td/ns/shop/sa/vault",
		Ports: []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}}, MTLS: model.MTLSStrict,
		Versions: []model.Version{{Name: "v1"}},
		Routes:   []*model.Route{{Name: "all", Ports: []uint16{80}, Split: []model.Split{{Version: "v1", BasisPoints: model.BasisPointsWhole}}}},
		Allow:    []model.Rule{{Any: true}},
		JWT:      []model.JWT{{Name: "main", Issuer: "https://id", Required: true, ClockSkew: time.Minute, Keys: model.JWKS{File: "/k"}}},
	}
	if change != nil {
		change(s)
	}
	return s
}

// TestTokensInTheDiff: what becomes weaker or stronger about tokens, and for
// which request.
func TestTokensInTheDiff(t *testing.T) {
	admin := model.NamedMatch{Name: "main.role", Kind: model.Exact, Value: "admin"}
	path := []model.PathMatch{{Kind: model.Exact, Value: "/healthz"}}
	for name, c := range map[string]struct {
		change  func(*model.Service)
		there   behave.Class // from guarded to the change
		back    behave.Class
		witness func(claims []model.Header, path string) bool
	}{
		"none any more":      {func(s *model.Service) { s.JWT = nil }, behave.Weaken, behave.Harden, nil},
		"no longer required": {func(s *model.Service) { s.JWT[0].Required = false }, behave.Weaken, behave.Harden, nil},
		"a public request":   {func(s *model.Service) { s.Public = []model.Rule{{Any: true, Paths: path}} }, behave.Weaken, behave.Harden, func(c []model.Header, path string) bool { return len(c) == 0 && path == "/healthz" }},
		"another issuer":     {func(s *model.Service) { s.JWT[0].Issuer = "https://other" }, behave.Expose, behave.Expose, nil},
		"an audience":        {func(s *model.Service) { s.JWT[0].Audiences = []string{"shop"} }, behave.Harden, behave.Weaken, nil},
		"clocks":             {func(s *model.Service) { s.JWT[0].ClockSkew = time.Second }, behave.Tune, behave.Tune, nil},
		"for admins":         {func(s *model.Service) { s.Allow[0].Claims = []model.NamedMatch{admin} }, behave.Narrow, behave.Expose, func(c []model.Header, _ string) bool { return len(c) == 1 && c[0].Name == "main" }},
		"not for admins": {func(s *model.Service) { s.Deny = []model.Rule{{Any: true, Claims: []model.NamedMatch{admin}}} }, behave.Narrow, behave.Expose, func(c []model.Header, _ string) bool {
			return slices.Contains(c, model.Header{Name: "main.role", Value: "admin"})
		}},
		"somebody is asked": {func(s *model.Service) {
			s.Authorizer = &model.Authorizer{Service: model.Ref{Name: "guard"}, Port: 80, Timeout: 1}
		}, behave.Harden, behave.Weaken, nil},
		"somebody is asked about some": {func(s *model.Service) {
			s.Authorizer = &model.Authorizer{Service: model.Ref{Name: "guard"}, Port: 80, Timeout: 1, On: []model.Rule{{Any: true, Paths: path}}}
		}, behave.Harden, behave.Weaken, func(_ []model.Header, path string) bool { return path == "/healthz" }},
		"somebody is asked about the others": {func(s *model.Service) {
			s.Authorizer = &model.Authorizer{Service: model.Ref{Name: "guard"}, Port: 80, Timeout: 1, Except: []model.Rule{{Any: true, Paths: path}}}
		}, behave.Harden, behave.Weaken, func(_ []model.Header, path string) bool { return path != "/healthz" }},
		"nothing, but spelt otherwise": {func(s *model.Service) {
			s.Public = []model.Rule{{Any: true, Paths: path, Claims: []model.NamedMatch{admin}}}
		}, "", "", nil}, // who has the claim has a token
	} {
		for _, way := range []struct {
			before, after *model.Service
			want          behave.Class
		}{{guarded(nil), guarded(c.change), c.there}, {guarded(c.change), guarded(nil), c.back}} {
			d := behave.Services(way.before, way.after, nil)
			if len(d.Unknown) > 0 {
				t.Errorf("%s: unknown %v", name, d.Unknown)
			}
			if way.want == "" {
				if len(d.Changes) > 0 {
					t.Errorf("%s: %v", name, d.Changes)
				}
				continue
			}
			var got []behave.Class
			shown := c.witness == nil
			for _, change := range d.Changes {
				got = append(got, change.Classes...)
				shown = shown || c.witness(change.Witness.Claims, change.Witness.Path)
			}
			if !slices.Contains(got, way.want) || !shown {
				t.Errorf("%s: classes %v, want %s; the witness shows it: %v", name, got, way.want, shown)
			}
		}
	}
}
