package check_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/test/soak"
)

// gatewayCase is a gateway with rules on several hosts.
type gatewayCase struct {
	*domain
	rules []*model.Route // as written
	half  []bool         // of each: its service takes halfOf only
	hosts [][]int        // rules of each host, in order
}

// halfOf is what services take that do not take everything.
var halfOf = []model.Match{{Paths: []model.PathMatch{{Kind: model.Prefix, Value: "/a"}}}, {Methods: []string{"POST"}}}

// gatewayAxes are the coordinates that rules of gateways look at, beside paths.
// The host is that of the table.
var gatewayAxes = []func() *axis{methodAxis, headerAxis, numberAxis, queryAxis, cookieAxis, schemeAxis, claimAxis}

func randomGateway(size int, rng *rand.Rand) *gatewayCase {
	d := drawDomain(rng, gatewayAxes)
	d.axes = slices.DeleteFunc(d.axes, func(a *axis) bool { return a.name == "port" }) // of a gateway's listener there is one
	if !slices.ContainsFunc(d.axes, func(a *axis) bool { return a.name == "method" }) {
		d.axes = append(d.axes, methodAxis()) // halfOf looks at methods
	}
	out := &gatewayCase{domain: d, rules: drawRoutes(d, size, rng)}
	for i, r := range out.rules {
		out.half = append(out.half, rng.IntN(3) == 0)
		for k := range r.Match {
			r.Match[k].Origin = diag.Range{File: "a", Start: diag.Pos{Line: int32(i + 1), Col: int32(10 + k)}}
		}
	}
	for range 1 + rng.IntN(3) {
		var here []int
		for i := range out.rules {
			if rng.IntN(4) > 0 {
				here = append(here, i)
			}
		}
		out.hosts = append(out.hosts, here)
	}
	return out
}

// mesh is the gateway as lower gives it: rules met with those of their services,
// and a 404 for what those do not take.
func (g *gatewayCase) mesh() *model.Mesh {
	gw := &model.Gateway{Ref: model.Ref{Name: "edge"}}
	l := model.GatewayListener{Name: "http", Port: 80, Protocol: model.HTTP}
	for h, rules := range g.hosts {
		host := model.GatewayHost{Host: fmt.Sprintf("h%d.example", h)}
		for _, i := range rules {
			r := g.rules[i]
			add := func(name string, match []model.Match, notFound bool) {
				host.Routes = append(host.Routes, &model.GatewayRoute{
					Name: r.Name + "/" + name, Service: model.Ref{Name: "a"}, Port: 80, Origin: r.Origin,
					Route: &model.Route{Name: name, Match: match, NotFound: notFound},
				})
			}
			if !g.half[i] {
				add("all", r.Match, false)
				continue
			}
			var met []model.Match
			for _, m := range r.Match {
				for _, half := range halfOf {
					if both, ok := reach.Meet(m, half); ok {
						met = append(met, both)
					}
				}
			}
			if len(met) > 0 {
				add("some", met, false)
			}
			add("none", r.Match, true)
		}
		l.Hosts = append(l.Hosts, host)
	}
	gw.Listeners = []model.GatewayListener{l}
	return &model.Mesh{TrustDomain: "td", Gateways: []*model.Gateway{gw}}
}

// TestGatewayReachabilityAgainstEveryRequest: exactly the rules and matches that
// lead no request anywhere are reported, and exactly the rules that compete.
func TestGatewayReachabilityAgainstEveryRequest(t *testing.T) {
	from, to := soak.Seeds(t, 2, 100)
	rng, kinds := rand.New(rand.NewPCG(407, from)), newDrawn()
	total := map[string]int{}
	for _, size := range []int{2, 3, 5, 8, 13, 20, 40, 200} {
		for range max(1, 24/size) * int(to-from) {
			g := randomGateway(size, rng)
			kinds.routes(g.rules)
			kinds.end(g.size())
			got := map[diag.Code][]string{}
			for _, d := range check.Model(g.mesh(), time.Now()) {
				name := fmt.Sprint(d.Range.Start.Line - 1)
				if d.Code == diag.HiddenMatch {
					name += fmt.Sprint(".", d.Range.Start.Col-10)
				}
				got[d.Code] = append(got[d.Code], name)
				if d.Code != diag.NeverMatches && d.Witness == "" {
					t.Errorf("%s without a witness", d.Code)
				}
			}
			hidden, crossed, matches, nowhere := g.brute()
			// A rule that contradicts its service in a way that lowering does not see is
			// reported as that, and for nothing else.
			for _, name := range got[diag.NeverMatches] {
				if !slices.Contains(nowhere, name) {
					t.Fatalf("rule %s leads somewhere, of %d rules on %v", name, size, g.hosts)
				}
				crossed = slices.DeleteFunc(crossed, func(other string) bool { return other == name })
				matches = slices.DeleteFunc(matches, func(other string) bool { return strings.HasPrefix(other, name+".") })
			}
			for what, pair := range map[string][2][]string{
				"unreachable": {got[diag.ShadowedRoute], hidden},
				"crossing":    {got[diag.CrossingRoutes], crossed},
				"match":       {got[diag.HiddenMatch], matches},
			} {
				slices.Sort(pair[0])
				slices.Sort(pair[1])
				if !slices.Equal(pair[0], pair[1]) {
					t.Fatalf("%s: got %v, want %v of %d rules on %v", what, pair[0], pair[1], size, g.hosts)
				}
				total[what] += len(pair[1])
			}
			if len(got[diag.ReachUnknown]) > 0 {
				t.Fatal(got)
			}
		}
	}
	t.Logf("%v, none missed, none in error", total)
	for _, what := range []string{"unreachable", "crossing", "match"} {
		if total[what] == 0 {
			t.Errorf("nothing was %s", what)
		}
	}
	kinds.enough(t, pathKinds+valueKinds+"method header query cookie scheme claim range")
}

// brute finds by trial what check finds by proof.
func (g *gatewayCase) brute() (hidden, crossed, matches, nowhere []string) {
	leads, competes := make([]bool, len(g.rules)), make([]bool, len(g.rules))
	reached := map[string]bool{}
	stands := map[int]bool{}
	ever := make([]bool, len(g.rules)) // some request of a rule is one of its service
	for _, rules := range g.hosts {
		t := g.table(rules)
		for at, i := range rules {
			stands[i] = true
			ever[i] = ever[i] || t.leadsEver[at]
			leads[i] = leads[i] || t.leadsFirst[at]
			if t.leadsFirst[at] || !t.leadsEver[at] {
				competes[i] = competes[i] || t.crosses[at]
			}
			for k := range g.rules[i].Match {
				if t.taken[at][k] || !t.leadsFirst[at] && t.leadsEver[at] || len(g.rules[i].Match) < 2 {
					reached[fmt.Sprint(i, ".", k)] = true
				}
			}
		}
	}
	for i, r := range g.rules {
		if !stands[i] {
			continue
		}
		if !ever[i] {
			nowhere = append(nowhere, r.Name)
		}
		if ever[i] && !leads[i] {
			hidden = append(hidden, r.Name)
		}
		if competes[i] {
			crossed = append(crossed, r.Name)
		}
		for k := range r.Match {
			if name := fmt.Sprint(i, ".", k); !reached[name] {
				matches = append(matches, name)
			}
		}
	}
	return hidden, crossed, matches, nowhere
}

// tried is what requests do to one table, by rule.
type tried struct {
	leadsFirst, leadsEver, crosses []bool
	taken                          [][]bool // by match: it takes one, or none meets it
}

func (g *gatewayCase) table(rules []int) *tried {
	n := len(rules)
	out := &tried{leadsFirst: make([]bool, n), leadsEver: make([]bool, n), crosses: make([]bool, n), taken: make([][]bool, n)}
	half := g.any(halfOf)
	accepts, matches := make([][]bool, n), make([][][]bool, n)
	for at, i := range rules {
		accepts[at] = make([]bool, g.size())
		for _, m := range g.rules[i].Match {
			marks := g.accepts(m)
			matches[at] = append(matches[at], marks)
			join(accepts[at], marks)
		}
	}
	firsts := first(accepts, g.size())
	for at, i := range rules {
		out.taken[at] = make([]bool, len(matches[at]))
		for q, accepted := range accepts[at] {
			if !accepted {
				continue
			}
			led := half[q] || !g.half[i]
			out.leadsEver[at] = out.leadsEver[at] || led
			if firsts[q] == at {
				out.leadsFirst[at] = out.leadsFirst[at] || led
				out.taken[at][slices.IndexFunc(matches[at], func(m []bool) bool { return m[q] })] = true
			}
		}
		for k, m := range matches[at] {
			out.taken[at][k] = out.taken[at][k] || !some(m)
		}
		for before := range at {
			out.crosses[at] = out.crosses[at] || competes(firsts, before, accepts[before], accepts[at])
		}
	}
	return out
}
