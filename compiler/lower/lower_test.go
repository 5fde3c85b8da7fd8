package lower_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/lower"
	"github.com/meshc/meshc/compiler/model"
)

// mustLower lowers what gives no diagnostics.
func mustLower(t interface {
	Helper()
	Fatalf(string, ...any)
}, m *intent.Mesh) *model.Mesh {
	t.Helper()
	out, diags := lower.Mesh(m, lower.Options{})
	if len(diags) > 0 {
		t.Fatalf("lower: %+v", diags)
	}
	if err := out.Validate(); err != nil {
		t.Fatalf("model: %v", err)
	}
	return out
}

func TestDefaultsAreFilled(t *testing.T) {
	svc := service("a")
	svc.Versions = svc.Versions[:1]
	m := mustLower(t, &intent.Mesh{Services: []*intent.Service{svc}})
	got := m.Services[0]
	want := &model.Service{
		Ref:            model.Ref{Namespace: "default", Name: "a"},
		Host:           "a.default.svc.cluster.local",
		ServiceAccount: "a",
		SPIFFEID:       "spiffe://cluster.local/ns/default/sa/a",
		Ports:          []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}},
		Versions:       []model.Version{{Name: "v1", Labels: map[string]string{"version": "v1"}}},
		Routes: []*model.Route{{
			Name: "default", Ports: []uint16{80}, Split: []model.Split{{Version: "v1", BasisPoints: 10000}},
			Timeout: 15 * time.Second,
			Retry:   &model.Retry{Attempts: 2, On: []string{"connect-failure", "refused-stream", "reset-before-request"}},
		}},
		MTLS:      model.MTLSStrict,
		Injection: model.DefaultInjection(),
		Origin:    place("a.cue", 1),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRetries(t *testing.T) {
	r := route("r", "a.cue", 2)
	r.Retries = &intent.Retries{Attempts: number(3), On: list("503", "reset", "500", "5xx"), PerTry: some("1s")}
	m := mustLower(t, &intent.Mesh{Services: []*intent.Service{service("a", r)}})
	want := &model.Retry{
		Attempts: 3, On: []string{"5xx", "reset"}, Statuses: []uint32{500, 503}, PerTry: time.Second,
		Methods: []string{"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"},
	}
	if d := cmp.Diff(want, m.Services[0].Routes[0].Retry); d != "" {
		t.Error(d)
	}
	r.Retries.Attempts = number(0)
	m = mustLower(t, &intent.Mesh{Services: []*intent.Service{service("a", r)}})
	if got := m.Services[0].Routes[0].Retry; got != nil {
		t.Errorf("attempts 0 gives %+v", got)
	}
}

func TestVersionsWithoutWeightAreLeftOut(t *testing.T) {
	r := route("r", "a.cue", 2)
	r.To = []*intent.Weight{{Version: text("v2"), Percent: text("100")}, {Version: text("v1"), Percent: text("0.00")}}
	m := mustLower(t, &intent.Mesh{Services: []*intent.Service{service("a", r)}})
	want := []model.Split{{Version: "v2", BasisPoints: 10000}}
	if d := cmp.Diff(want, m.Services[0].Routes[0].Split); d != "" {
		t.Error(d)
	}
}

func names(s *model.Service) []string {
	var out []string
	for _, r := range s.Routes {
		out = append(out, r.Name)
	}
	return out
}

func codes(diags diag.List) []diag.Code {
	var out []diag.Code
	for _, d := range diags {
		out = append(out, d.Code)
	}
	return out
}

func TestOrderOfRoutes(t *testing.T) {
	everything := func(name, file string, line int, before, after []string) *intent.Route {
		r := route(name, file, line)
		r.Before, r.After = list(before...), list(after...)
		return r
	}
	for name, c := range map[string]struct {
		routes []*intent.Route
		want   []string
		codes  []diag.Code
	}{
		"one file keeps the order of the source": {
			[]*intent.Route{everything("b", "1", 1, nil, nil), everything("a", "1", 2, nil, nil)}, []string{"b", "a"}, nil},
		"before moves a route up": {
			[]*intent.Route{everything("a", "1", 1, nil, nil), everything("b", "1", 2, nil, nil), everything("c", "1", 3, []string{"a"}, nil)},
			[]string{"c", "a", "b"}, nil},
		"after moves a route down": {
			[]*intent.Route{everything("a", "1", 1, nil, []string{"b"}), everything("b", "1", 2, nil, nil)}, []string{"b", "a"}, nil},
		"overlap in two files without order": {
			[]*intent.Route{everything("a", "1", 1, nil, nil), everything("b", "2", 1, nil, nil)}, []string{"a", "b"},
			[]diag.Code{diag.OverlapUnordered}},
		"overlap in two files with an order": {
			[]*intent.Route{everything("a", "1", 1, nil, nil), everything("b", "2", 1, []string{"a"}, nil)}, []string{"b", "a"}, nil},
		"an order through a third route": {
			[]*intent.Route{everything("a", "1", 1, nil, []string{"c"}), everything("b", "2", 1, []string{"c"}, nil), everything("c", "3", 1, nil, nil)},
			[]string{"b", "c", "a"}, nil},
		"an order through the neighbours of a file": {
			[]*intent.Route{everything("x", "1", 1, []string{"a"}, nil), everything("a", "2", 1, nil, nil), everything("b", "2", 2, nil, nil)},
			[]string{"x", "a", "b"}, nil},
		"disjoint routes in two files need no order": {
			[]*intent.Route{route("a", "1", 1, path("exact", "/a")), route("b", "2", 1, path("exact", "/b"))}, []string{"a", "b"}, nil},
		"a cycle": {
			[]*intent.Route{everything("a", "1", 1, []string{"b"}, nil), everything("b", "1", 2, []string{"a"}, nil)}, []string{"a", "b"},
			[]diag.Code{diag.OrderCycle}},
		"a route before itself": {
			[]*intent.Route{everything("a", "1", 1, []string{"a"}, nil)}, []string{"a"}, []diag.Code{diag.OrderCycle}},
	} {
		m, diags := lower.Mesh(&intent.Mesh{Services: []*intent.Service{service("a", c.routes...)}}, lower.Options{})
		if d := cmp.Diff(c.want, names(m.Services[0])); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if d := cmp.Diff(c.codes, codes(diags)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestDerivedAllow(t *testing.T) {
	mesh := func(mode string) *model.Mesh {
		caller, callee := service("caller", route("r", "c", 1)), service("callee", route("r", "d", 1))
		caller.Uses = []*intent.Use{{Ref: text("callee")}}
		return mustLower(t, &intent.Mesh{
			Config:   intent.Config{MTLS: some(mode)},
			Services: []*intent.Service{caller, callee},
			Gateways: []*intent.Gateway{gateway("edge", gatewayRoute(0, "callee"))},
		})
	}
	declared := model.Rule{Principals: []string{"spiffe://cluster.local/ns/default/sa/caller", "spiffe://cluster.local/ns/default/sa/edge"}}
	for mode, want := range map[string][]model.Rule{
		"strict":     {declared},
		"permissive": {declared, {Any: true}},
		"disable":    {declared, {Any: true}},
	} {
		m := mesh(mode)
		if d := cmp.Diff(want, m.Service(model.Ref{Namespace: "default", Name: "callee"}).Allow); d != "" {
			t.Errorf("%s: %s", mode, d)
		}
	}
	if got := mesh("strict").Service(model.Ref{Namespace: "default", Name: "caller"}).Allow; got != nil {
		t.Errorf("nobody uses the caller, but %+v may call it", got)
	}
}

func TestExplicitAllow(t *testing.T) {
	for mode, want := range map[string]model.Rule{
		"strict": {Authenticated: true}, "permissive": {Any: true}, "disable": {Any: true},
	} {
		svc := service("a", route("r", "a", 1))
		svc.Security = &intent.Security{MTLS: some(mode), HasAllow: true, Allow: []*intent.Rule{{From: list("*")}}}
		m := mustLower(t, &intent.Mesh{Services: []*intent.Service{svc}})
		if d := cmp.Diff([]model.Rule{want}, m.Services[0].Allow); d != "" {
			t.Errorf("%s: %s", mode, d)
		}
	}
}

func TestFileOrderIsIrrelevant(t *testing.T) {
	build := func() *intent.Mesh {
		var m intent.Mesh
		for _, n := range []string{"a", "b", "c", "d"} {
			s := service(n, route("x", n, 1, path("prefix", "/x")), route("rest", n, 2))
			s.Uses = []*intent.Use{{Ref: text("b")}, {Ref: text("out")}}
			m.Services = append(m.Services, s)
		}
		for _, n := range []string{"g", "h"} {
			m.Gateways = append(m.Gateways, gateway(n, gatewayRoute(0, "a", path("prefix", "/x/a")), gatewayRoute(1, "b")))
		}
		for _, n := range []string{"out", "far"} {
			m.Externals = append(m.Externals, &intent.External{Name: text(n), Host: text(n + ".example"), Endpoints: list("9.9.9.9:1", "1.1.1.1:1")})
		}
		return &m
	}
	want := mustLower(t, build())
	rapid.Check(t, func(t *rapid.T) {
		m := build()
		m.Services = rapid.Permutation(m.Services).Draw(t, "services")
		m.Gateways = rapid.Permutation(m.Gateways).Draw(t, "gateways")
		m.Externals = rapid.Permutation(m.Externals).Draw(t, "externals")
		if d := cmp.Diff(want, mustLower(t, m)); d != "" {
			t.Fatal(d)
		}
	})
}
