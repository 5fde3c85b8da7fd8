package check_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/soak"
)

// asking is a request and who sends it.
type asking struct {
	caller string
	req    *answer.Request
}

// everyAsking is all that the conditions of randomRules can tell apart.
var everyAsking = func() []asking {
	var out []asking
	targets := []string{"/"}
	for _, a := range []string{"a", "b", "c", "/"} {
		targets = append(targets, "/"+a)
		for _, b := range []string{"a", "b", "c", "/"} {
			targets = append(targets, "/"+a+b)
		}
	}
	for _, caller := range []string{"", "spiffe://td/ns/x/sa/a", "spiffe://td/ns/x/sa/b", "spiffe://td/ns/y/sa/c", "spiffe://td/ns/y/sa/z", "spiffe://td/ns/x/sa/z", "spiffe://td/ns/z/sa/z", "spiffe://other/ns/x/sa/a"} {
		for _, method := range []string{"GET", "POST", "PUT"} {
			for _, target := range targets {
				for _, address := range []string{"10.0.0.1", "10.1.0.1", "10.2.0.1", "192.0.2.1"} {
					for _, port := range []uint16{80, 81} {
						for _, client := range []string{"10.0.0.1", "192.0.2.1"} {
							out = append(out, asking{caller, &answer.Request{
								Method: method, Host: "a", Target: target, Port: port, Source: netip.MustParseAddr(address), Client: netip.MustParseAddr(client),
							}})
						}
					}
				}
			}
		}
	}
	return out
}()

func randomRules(n, from int, rng *rand.Rand) []model.Rule {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	path := func() model.PathMatch {
		switch rng.IntN(4) {
		case 0:
			return model.PathMatch{Kind: model.Regex, Value: pick("/[ab]", "/a.*", "/(a|b)b?", "/[ab]*", "/b?")}
		case 1:
			return model.PathMatch{Kind: model.SegmentPrefix, Value: pick("/a", "/b")}
		}
		return model.PathMatch{Kind: []model.MatchKind{model.Exact, model.Prefix}[rng.IntN(2)], Value: "/" + pick("", "a", "b", "c")}
	}
	var out []model.Rule
	for i := range n {
		r := model.Rule{Origin: diag.Range{File: "a", Start: diag.NewPos(from+i, 1)}}
		switch rng.IntN(4) {
		case 0:
			r.Any = true
		case 1:
			r.Authenticated = true
		default:
			r.Principals = []string{"spiffe://td/ns/" + pick("x/sa/a", "x/sa/b", "y/sa/c")}
		}
		some := func(of int, f func()) {
			if rng.IntN(of) == 0 {
				f()
			}
		}
		some(4, func() { r.NotPrincipals = []string{"spiffe://td/ns/x/sa/" + pick("a", "b")} })
		some(4, func() { r.Namespaces = []string{pick("x", "y")} })
		some(8, func() { r.NotNamespaces = []string{pick("x", "y")} })
		some(3, func() { r.Methods = []string{pick("GET", "POST")} })
		some(6, func() { r.NotMethods = []string{pick("GET", "POST")} })
		some(2, func() { r.Paths = []model.PathMatch{path(), path()} })
		some(6, func() { r.NotPaths = []model.PathMatch{path()} })
		some(4, func() { r.IPs = []string{pick("10.0.0.0/8", "10.1.0.0/16")} })
		some(8, func() { r.ClientIPs = []string{"10.0.0.0/8"} })
		some(8, func() { r.NotClientIPs = []string{"10.0.0.0/8"} })
		some(8, func() { r.NotIPs = []string{pick("10.0.0.0/8", "10.1.0.0/16", "10.0.0.1/32")} })
		some(6, func() { r.Ports = []uint16{80} })
		some(8, func() { r.NotPorts = []uint16{80} })
		out = append(out, r)
	}
	return out
}

// holding marks the requests for which a rule holds, by package answer.
func holding(r *model.Rule) []bool {
	out := make([]bool, len(everyAsking))
	alone := &model.Service{Allow: []model.Rule{*r}}
	for i, q := range everyAsking {
		out[i] = answer.Authorize("td", alone, q.caller, q.req, q.req.Port).Allowed
	}
	return out
}

// within says that every request of a is one of some of others.
func within(a []bool, others [][]bool) bool {
	for i, holds := range a {
		if holds && !slices.ContainsFunc(others, func(o []bool) bool { return o[i] }) {
			return false
		}
	}
	return true
}

// TestRulesAgainstEveryRequest: what is reported of lists of rules changes
// nothing when it is taken away, and nothing else is like that.
func TestRulesAgainstEveryRequest(t *testing.T) {
	from, to := soak.Seeds(t, 1, 60)
	rng := rand.New(rand.NewPCG(8, 1))
	total := map[diag.Code]int{}
	for _, size := range []int{1, 2, 3, 4, 5, 8, 13, 20, 40, 200} {
		for range max(1, 30/size) * int(to-from) {
			s := &model.Service{
				Ref: model.Ref{Name: "a"}, Host: "a", MTLS: model.MTLSPermissive, Ports: []model.Port{{Number: 80}, {Number: 81}},
				Allow: randomRules(size, 1000, rng), Deny: randomRules(rng.IntN(size+1), 2000, rng),
			}
			got := map[diag.Code][]int32{}
			for _, d := range check.Model(&model.Mesh{TrustDomain: "td", Services: []*model.Service{s}}, time.Now()) {
				got[d.Code] = append(got[d.Code], d.Range.Start.Line)
				if d.Witness == "" && (d.Code == diag.RuleCovered || d.Code == diag.DenyHidesAllow) {
					t.Errorf("%s without a witness", d.Code)
				}
				total[d.Code]++
			}
			judgeRules(t, got, s.Allow)
			judgeRules(t, got, s.Deny)
			judgeHidden(t, got, s)
			if t.Failed() {
				t.Fatalf("%v\nallow %+v\ndeny %+v", got, s.Allow, s.Deny)
			}
		}
	}
	for _, code := range []diag.Code{diag.RuleNeverHolds, diag.RuleCovered, diag.DenyHidesAllow} {
		t.Logf("%s: %d", code, total[code])
		if total[code] == 0 {
			t.Errorf("no rule was reported as %s", code)
		}
	}
}

func judgeRules(t *testing.T, got map[diag.Code][]int32, list []model.Rule) {
	t.Helper()
	holds := make([][]bool, len(list))
	reported := make([]bool, len(list))
	var kept [][]bool
	for i := range list {
		holds[i] = holding(&list[i])
		never := !slices.Contains(holds[i], true)
		if line := list[i].Origin.Start.Line; never != slices.Contains(got[diag.RuleNeverHolds], line) {
			t.Errorf("line %d: never holds: %v", line, never)
		} else if reported[i] = never || slices.Contains(got[diag.RuleCovered], line); !reported[i] {
			kept = append(kept, holds[i])
		}
	}
	for i := range list {
		others := kept
		if !reported[i] {
			others = slices.DeleteFunc(slices.Clone(kept), func(o []bool) bool { return &o[0] == &holds[i][0] })
		}
		if within(holds[i], others) != reported[i] {
			t.Errorf("line %d: reported %v", list[i].Origin.Start.Line, reported[i])
		}
	}
}

func judgeHidden(t *testing.T, got map[diag.Code][]int32, s *model.Service) {
	t.Helper()
	if len(got[diag.DeniesEverybody]) > 0 {
		return
	}
	var denied [][]bool
	for i := range s.Deny {
		denied = append(denied, holding(&s.Deny[i]))
	}
	for i := range s.Allow {
		holds := holding(&s.Allow[i])
		want := slices.Contains(holds, true) && within(holds, denied)
		if line := s.Allow[i].Origin.Start.Line; want != slices.Contains(got[diag.DenyHidesAllow], line) {
			t.Errorf("%s: hidden by deny rules: %v", fmt.Sprint("line ", line), want)
		}
	}
}
