package check_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/soak"
)

// callerAxis are callers with a name in some rule, in a namespace of some rule,
// and neither; of the mesh and of another, and without identity.
var callerAxis = sync.OnceValue(func() *axis {
	a := &axis{name: "caller", rule: func(r model.Rule) model.Rule {
		return model.Rule{Any: r.Any, Authenticated: r.Authenticated, Principals: r.Principals, NotPrincipals: r.NotPrincipals, Namespaces: r.Namespaces, NotNamespaces: r.NotNamespaces}
	}}
	for _, id := range []string{"", "spiffe://td/ns/x/sa/a", "spiffe://td/ns/x/sa/b", "spiffe://td/ns/y/sa/c", "spiffe://td/ns/y/sa/z", "spiffe://td/ns/x/sa/z", "spiffe://td/ns/z/sa/z", "spiffe://other/ns/x/sa/a"} {
		a.values = append(a.values, func(q *asking) { q.caller = id })
	}
	return a.ready()
})

// sourceAxis and clientAxis are addresses in and out of the networks of rules.
var sourceAxis = sync.OnceValue(func() *axis {
	a := &axis{name: "source", rule: func(r model.Rule) model.Rule { return model.Rule{Any: true, IPs: r.IPs, NotIPs: r.NotIPs} }}
	for _, address := range []string{"10.0.0.1", "10.1.0.1", "10.2.0.1", "192.0.2.1"} {
		a.values = append(a.values, func(q *asking) { q.req.Source = netip.MustParseAddr(address) })
	}
	return a.ready()
})

var clientAxis = sync.OnceValue(func() *axis {
	a := &axis{name: "client", rule: func(r model.Rule) model.Rule {
		return model.Rule{Any: true, ClientIPs: r.ClientIPs, NotClientIPs: r.NotClientIPs}
	}}
	for _, address := range []string{"10.0.0.1", "192.0.2.1"} {
		a.values = append(a.values, func(q *asking) { q.req.Client = netip.MustParseAddr(address) })
	}
	return a.ready()
})

// ruleAxes are the coordinates that rules look at, beside callers, paths and ports.
var ruleAxes = []func() *axis{methodAxis, headerAxis, numberAxis, hostAxis, schemeAxis, claimAxis, sourceAxis, clientAxis}

// drawCallers is drawDomain with callers.
func drawCallers(rng *rand.Rand) *domain {
	d := drawDomain(rng, ruleAxes)
	d.axes = append(d.axes, callerAxis())
	return d
}

// drawRules are rules whose conditions are on the domain.
func drawRules(d *domain, n, from int, rng *rand.Rand) []model.Rule {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	var out []model.Rule
	for i := range n {
		r := model.Rule{Any: true, Origin: at(from + i)}
		some := func(of int, f func()) {
			if rng.IntN(of) == 0 {
				f()
			}
		}
		for _, a := range d.axes {
			switch a.name {
			case "caller":
				switch rng.IntN(4) {
				case 0:
				case 1:
					r.Any, r.Authenticated = false, true
				default:
					r.Any, r.Principals = false, []string{"spiffe://td/ns/" + pick("x/sa/a", "x/sa/b", "y/sa/c")}
				}
				some(4, func() { r.NotPrincipals = []string{"spiffe://td/ns/x/sa/" + pick("a", "b")} })
				some(4, func() { r.Namespaces = []string{pick("x", "y")} })
				some(8, func() { r.NotNamespaces = []string{pick("x", "y")} })
			case "path":
				some(2, func() { r.Paths = []model.PathMatch{drawPath(rng), drawPath(rng)} })
				some(4, func() { r.NotPaths = []model.PathMatch{drawPath(rng)} })
			case "port":
				some(6, func() { r.Ports = []uint16{80} })
				some(8, func() { r.NotPorts = []uint16{80} })
			case "source":
				some(3, func() { r.IPs = []string{pick("10.0.0.0/8", "10.1.0.0/16")} })
				some(4, func() { r.NotIPs = []string{pick("10.0.0.0/8", "10.1.0.0/16", "10.0.0.1/32")} })
			case "client":
				some(4, func() { r.ClientIPs = []string{"10.0.0.0/8"} })
				some(4, func() { r.NotClientIPs = []string{"10.0.0.0/8"} })
			case "method":
				some(3, func() { r.Methods = []string{pick("GET", "POST")} })
				some(5, func() { r.NotMethods = []string{pick("GET", "POST")} })
			default:
				some(3, func() {
					var m model.Match
					a.draw(&m, rng)
					switch {
					case a.name == model.HostHeader && rng.IntN(3) == 0:
						r.NotHosts = m.Headers
					case a.name == model.HostHeader:
						r.Hosts = m.Headers
					default:
						r.Headers, r.Claims = append(r.Headers, m.Headers...), m.Claims
					}
				})
			}
		}
		out = append(out, r)
	}
	return out
}

// TestRulesAgainstEveryRequest: what is reported of lists of rules changes
// nothing when it is taken away, and nothing else is like that.
func TestRulesAgainstEveryRequest(t *testing.T) {
	from, to := soak.Seeds(t, 2, 100)
	rng, kinds := rand.New(rand.NewPCG(801, from)), newDrawn()
	total := map[diag.Code]int{}
	for _, size := range []int{1, 2, 3, 4, 5, 8, 13, 20, 40, 200} {
		for range max(1, 30/size) * int(to-from) {
			d := drawCallers(rng)
			s := &model.Service{
				Ref: model.Ref{Name: "a"}, Host: "a", MTLS: model.MTLSPermissive, Ports: []model.Port{{Number: 80}, {Number: 81}},
				Allow: drawRules(d, size, 1000, rng), Deny: drawRules(d, rng.IntN(size+1), 2000, rng),
			}
			kinds.rules(s.Allow, s.Deny)
			kinds.end(d.size())
			got := map[diag.Code][]int32{}
			for _, d := range check.Model(&model.Mesh{TrustDomain: "td", Services: []*model.Service{s}}, time.Now()) {
				got[d.Code] = append(got[d.Code], d.Range.Start.Line)
				if d.Witness == "" && (d.Code == diag.RuleCovered || d.Code == diag.DenyHidesAllow) {
					t.Errorf("%s without a witness", d.Code)
				}
				total[d.Code]++
			}
			if len(got[diag.ReachUnknown]) > 0 {
				t.Fatal("not decided")
			}
			judgeRules(t, d, got, s.Allow)
			judgeRules(t, d, got, s.Deny)
			judgeHidden(t, d, got, s)
			if t.Failed() {
				t.Fatalf("%v\nallow %+v\ndeny %+v", got, s.Allow, s.Deny)
			}
		}
	}
	for _, code := range []diag.Code{diag.RuleNeverHolds, diag.RuleCovered, diag.DenyHidesAllow} {
		t.Logf("%s: %d reported, none missed, none in error", code, total[code])
		if total[code] == 0 {
			t.Errorf("no rule was reported as %s", code)
		}
	}
	kinds.enough(t, ofRules)
}

func judgeRules(t *testing.T, d *domain, got map[diag.Code][]int32, list []model.Rule) {
	t.Helper()
	holds := make([][]bool, len(list))
	reported := make([]bool, len(list))
	kept := make([]int, d.size()) // how many rules that are not reported hold
	for i := range list {
		holds[i] = d.holds(&list[i])
		never := !some(holds[i])
		if line := list[i].Origin.Start.Line; never != slices.Contains(got[diag.RuleNeverHolds], line) {
			t.Errorf("line %d: never holds: %v", line, never)
		} else if reported[i] = never || slices.Contains(got[diag.RuleCovered], line); !reported[i] {
			for k, h := range holds[i] {
				if h {
					kept[k]++
				}
			}
		}
	}
	for i := range list {
		others := 1
		if !reported[i] {
			others = 2 // itself is one
		}
		within := true
		for k, h := range holds[i] {
			within = within && (!h || kept[k] >= others)
		}
		if within != reported[i] {
			t.Errorf("line %d: reported %v", list[i].Origin.Start.Line, reported[i])
		}
	}
}

func judgeHidden(t *testing.T, d *domain, got map[diag.Code][]int32, s *model.Service) {
	t.Helper()
	if len(got[diag.DeniesEverybody]) > 0 {
		return
	}
	denied := make([]bool, d.size())
	for i := range s.Deny {
		join(denied, d.holds(&s.Deny[i]))
	}
	for i := range s.Allow {
		holds := d.holds(&s.Allow[i])
		want := some(holds) && slices.Equal(both(holds, denied), holds)
		if line := s.Allow[i].Origin.Start.Line; want != slices.Contains(got[diag.DenyHidesAllow], line) {
			t.Errorf("line %d: hidden by deny rules: %v", line, want)
		}
	}
}
