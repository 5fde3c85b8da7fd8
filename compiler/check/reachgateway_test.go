package check_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/test/soak"
)

// gatewayCase is a gateway with rules on several hosts.
type gatewayCase struct {
	rules []*model.Route // as written
	half  []bool         // of each: its service takes halfOf only
	hosts [][]int        // rules of each host, in order
}

// halfOf is what services take that do not take everything.
var halfOf = []model.Match{{Paths: []model.PathMatch{{Kind: model.Prefix, Value: "/a"}}}, {Methods: []string{"POST"}}}

func randomGateway(size int, rng *rand.Rand) *gatewayCase {
	out := &gatewayCase{rules: randomRoutes(size, rng)}
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
	from, to := soak.Seeds(t, 1, 60)
	rng := rand.New(rand.NewPCG(4, 7))
	total := map[string]int{}
	for _, size := range []int{2, 3, 5, 8, 13, 20, 40, 200} {
		for range max(1, 24/size) * int(to-from) {
			g := randomGateway(size, rng)
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
	accepts := make([][]bool, n)
	first := make([]int, len(everyRequest))
	met := make([][]bool, n)
	for at, i := range rules {
		out.taken[at], met[at] = make([]bool, len(g.rules[i].Match)), make([]bool, len(g.rules[i].Match))
	}
	for q, req := range everyRequest {
		first[q] = n
		half := slices.ContainsFunc(halfOf, func(m model.Match) bool { return answer.Accepts(&m, req) })
		for at, i := range rules {
			by := slices.IndexFunc(g.rules[i].Match, func(m model.Match) bool { return answer.Accepts(&m, req) })
			accepts[at] = append(accepts[at], by >= 0)
			if by < 0 {
				continue
			}
			for k := range g.rules[i].Match {
				met[at][k] = met[at][k] || answer.Accepts(&g.rules[i].Match[k], req)
			}
			led := half || !g.half[i]
			out.leadsEver[at] = out.leadsEver[at] || led
			if first[q] == n {
				first[q] = at
				out.taken[at][by] = true
				out.leadsFirst[at] = out.leadsFirst[at] || led
			}
		}
	}
	for at := range rules {
		for k, m := range met[at] {
			out.taken[at][k] = out.taken[at][k] || !m
		}
		for before := range at {
			both, only := false, false
			for q := range everyRequest {
				both = both || accepts[at][q] && first[q] == before
				only = only || accepts[before][q] && !accepts[at][q]
			}
			out.crosses[at] = out.crosses[at] || both && only
		}
	}
	return out
}
