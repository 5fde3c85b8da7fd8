package lower_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/lower"
	"github.com/meshc/meshc/compiler/model"
)

func drawMatch(t *rapid.T) *intent.Match {
	m := &intent.Match{}
	if rapid.Bool().Draw(t, "has path") {
		kind := rapid.SampledFrom([]string{"exact", "prefix", "segmentPrefix", "regex"}).Draw(t, "kind")
		value := rapid.SampledFrom([]string{"/a", "/a/b", "/ab", "/b"}).Draw(t, "value")
		if kind == "regex" {
			value = rapid.SampledFrom([]string{"/a.*", "/[ab]", ".*b"}).Draw(t, "regex")
		}
		m.Path = &intent.PathMatch{Kind: text(kind), Value: text(value)}
	}
	if rapid.Bool().Draw(t, "has method") {
		m.Methods = list(rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"))
	}
	if rapid.Bool().Draw(t, "has header") {
		not := &intent.Value[bool]{V: rapid.Bool().Draw(t, "not")}
		m.Headers = []*intent.NamedMatch{{Name: text("X"), Kind: text("exact"), Value: text(rapid.SampledFrom([]string{"1", "2"}).Draw(t, "header")), Not: not}}
	}
	return m
}

func drawMatches(t *rapid.T) []*intent.Match {
	var out []*intent.Match
	for range rapid.IntRange(0, 2).Draw(t, "matches") {
		out = append(out, drawMatch(t))
	}
	return out
}

// TestGatewayTableIsTheConjunction compares the table of a gateway with what
// it stands for: the first rule of the gateway that takes the request decides,
// and of its service's rules the first that takes it, or none.
func TestGatewayTableIsTheConjunction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := []*intent.Route{route("r0", "a", 1, drawMatches(t)...), route("r1", "a", 2, drawMatches(t)...)}
		fronts := []*intent.GatewayRoute{gatewayRoute(0, "a", drawMatches(t)...), gatewayRoute(1, "a", drawMatches(t)...)}
		m, diags := lower.Mesh(&intent.Mesh{Services: []*intent.Service{service("a", rules...)}, Gateways: []*intent.Gateway{gateway("g", fronts...)}}, lower.Options{})
		for _, d := range diags {
			if d.Code != diag.NeverMatches {
				t.Fatal(d)
			}
		}
		var table []*model.GatewayRoute
		if hosts := m.Gateways[0].Listeners[0].Hosts; len(hosts) > 0 {
			table = hosts[0].Routes
		}
		for _, r := range sampleRequests() {
			if got, want := tableAnswer(table, r), pairAnswer(fronts, m.Services[0].Routes, r); got != want {
				t.Fatalf("%+v: table says %q, the rules say %q", r, got, want)
			}
		}
	})
}

func sampleRequests() []*answer.Request {
	var out []*answer.Request
	for _, target := range []string{"/", "/a", "/a/b", "/ab", "/b", "/a/bb", "/abb", "/a?x=/b"} {
		for _, method := range []string{"GET", "POST"} {
			for _, headers := range [][]model.Header{nil, {{Name: "x", Value: "1"}}, {{Name: "x", Value: "2"}}, {{Name: "x", Value: "3"}}} {
				out = append(out, &answer.Request{Method: method, Target: target, Headers: headers})
			}
		}
	}
	return out
}

func tableAnswer(table []*model.GatewayRoute, r *answer.Request) string {
	for _, g := range table {
		if answer.Takes(g.Route, 80, r) {
			return g.Name
		}
	}
	return ""
}

func pairAnswer(fronts []*intent.GatewayRoute, rules []*model.Route, r *answer.Request) string {
	for _, f := range fronts {
		probe := service("p", route("p", "p", 1, f.Match...))
		lowered, _ := lower.Mesh(&intent.Mesh{Services: []*intent.Service{probe}}, lower.Options{})
		if !answer.Takes(lowered.Services[0].Routes[0], 80, r) {
			continue
		}
		for _, rule := range rules {
			if answer.Takes(rule, 80, r) {
				return f.Name.V + "/" + rule.Name
			}
		}
		return f.Name.V + "/" + lower.NotFoundRule
	}
	return ""
}

func TestGatewayHosts(t *testing.T) {
	g := gateway("g", gatewayRoute(0, "a"), gatewayRoute(1, "a", path("exact", "/one")), gatewayRoute(2, "a"))
	g.Listeners[0].Hosts = list("*.shop.example", "shop.example")
	g.Routes[0].Hosts = list("WWW.shop.example")
	g.Routes[1].Hosts = list("*")
	g.Routes[2].Hosts = list("*.eu.shop.example")
	m := mustLower(t, &intent.Mesh{Services: []*intent.Service{service("a", route("r", "a", 1))}, Gateways: []*intent.Gateway{g}})
	type table struct {
		Host   string
		Routes []string
	}
	var got []table
	for _, h := range m.Gateways[0].Listeners[0].Hosts {
		var routes []string
		for _, r := range h.Routes {
			routes = append(routes, r.Name)
		}
		got = append(got, table{h.Host, routes})
	}
	want := []table{
		{"shop.example", []string{"g1/r"}},
		{"www.shop.example", []string{"g0/r", "g1/r"}},
		{"*.eu.shop.example", []string{"g1/r", "g2/r"}},
		{"*.shop.example", []string{"g1/r"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestGatewayRouteThatMeetsNothingIsReported(t *testing.T) {
	m := &intent.Mesh{
		Services: []*intent.Service{service("a", route("r", "a", 1, path("exact", "/a")))},
		Gateways: []*intent.Gateway{gateway("g", gatewayRoute(0, "a", path("exact", "/b")))},
	}
	_, diags := lower.Mesh(m, lower.Options{})
	if len(diags) != 1 || diags[0].Code != diag.NeverMatches || diags[0].Range != place("gateway.cue", 2) {
		t.Errorf("%+v", diags)
	}
}

func TestServiceRouteTravelsWithItsSettings(t *testing.T) {
	r := route("r", "a", 1, header("X", "exact", "1"))
	r.Timeout = some("3s")
	svc := service("a", r)
	svc.Faults = []*intent.Fault{{
		Name: text("slow"), On: text("r"), Until: text("2099-01-01T00:00:00+02:00"),
		Delay: &intent.Delay{Fixed: text("7s"), Percent: text("10")},
	}}
	m := mustLower(t, &intent.Mesh{Services: []*intent.Service{svc}, Gateways: []*intent.Gateway{gateway("g", gatewayRoute(0, "a"))}})
	got, want := *m.Gateways[0].Listeners[0].Hosts[0].Routes[0].Route, *m.Services[0].Routes[0]
	if d := cmp.Diff(want, got); d != "" || got.Delay == nil || !slices.Equal(got.Ports, []uint16{80}) {
		t.Error(d)
	}
	if until := got.Delay.Until.Format("2006-01-02T15"); until != "2098-12-31T22" {
		t.Error(until)
	}
}
