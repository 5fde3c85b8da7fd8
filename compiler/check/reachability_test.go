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
	"github.com/meshc/meshc/test/soak"
)

// everyRequest is all that the conditions of randomRoutes can tell apart.
var everyRequest = func() []*answer.Request {
	var targets []string
	for last, n := []string{"/"}, 0; n < 4; n++ {
		var next []string
		for _, p := range last {
			next = append(next, p+"a", p+"b", p+"c", p+"/")
		}
		targets = append(targets, last...)
		last = next
	}
	var fields [][]model.Header
	for subset := range 8 { // of the values that can be told apart
		var f []model.Header
		for i, v := range []string{"a", "b", "c"} {
			if subset>>i&1 == 1 {
				f = append(f, model.Header{Name: "x", Value: v})
			}
		}
		fields = append(fields, f)
	}
	var out []*answer.Request
	for _, method := range []string{"GET", "POST", "PUT"} {
		for _, target := range targets {
			for _, f := range fields {
				for _, port := range []uint16{80, 81} {
					out = append(out, &answer.Request{Method: method, Target: target, Headers: f, Port: port, Host: "a"})
				}
			}
		}
	}
	return out
}()

func randomRoutes(n int, rng *rand.Rand) []*model.Route {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	var out []*model.Route
	for i := range n {
		r := &model.Route{Name: fmt.Sprint(i), Ports: []uint16{80, 81}, Origin: diag.Range{File: "a", Start: diag.NewPos(i+1, 1)}}
		if rng.IntN(4) == 0 {
			r.Ports = []uint16{80}
		}
		for range 1 + rng.IntN(3) {
			var m model.Match
			switch rng.IntN(4) {
			case 0:
				m.Paths = []model.PathMatch{{Kind: model.Regex, Value: pick("/[ab]", "/a.*", "/(a|b)b?", "/[ab]+/?", "/b?")}}
			case 1:
				m.Paths = []model.PathMatch{{Kind: model.SegmentPrefix, Value: pick("/a", "/b", "/a/b")}}
			default:
				m.Paths = []model.PathMatch{{Kind: []model.MatchKind{model.Exact, model.Prefix}[rng.IntN(2)], Value: "/" + pick("", "a", "b", "a/", "/")}}
			}
			if rng.IntN(3) == 0 {
				m.Methods = []string{pick("GET", "POST")}
			}
			if rng.IntN(3) == 0 {
				kind := []model.MatchKind{model.Exact, model.Present, model.Absent}[rng.IntN(3)]
				m.Headers = []model.NamedMatch{{Name: "x", Kind: kind, Value: pick("a", "b"), Not: kind == model.Exact && rng.IntN(2) == 0}}
			}
			r.Match = append(r.Match, m)
		}
		out = append(out, r)
	}
	return out
}

// TestReachabilityAgainstEveryRequest: exactly the rules that no request
// reaches are reported, and exactly those that cross an earlier one.
func TestReachabilityAgainstEveryRequest(t *testing.T) {
	from, to := soak.Seeds(t, 1, 60)
	rng := rand.New(rand.NewPCG(4, 2))
	unreachable, crossing := 0, 0
	for _, size := range []int{2, 3, 5, 8, 13, 20, 40, 80, 200} {
		for range max(1, 20/size) * int(to-from) {
			s := &model.Service{Host: "a", Ports: []model.Port{{Number: 80}, {Number: 81}}, Routes: randomRoutes(size, rng)}
			got := map[diag.Code][]string{}
			for _, d := range check.Model(&model.Mesh{Services: []*model.Service{s}}, time.Now()) {
				got[d.Code] = append(got[d.Code], fmt.Sprint(d.Range.Start.Line-1))
				if d.Code != diag.NeverMatches && d.Witness == "" {
					t.Errorf("%s without a witness", d.Code)
				}
			}
			hidden, crossed, gap := brute(s)
			compare(t, s, "unreachable", append(got[diag.ShadowedRoute], got[diag.NeverMatches]...), hidden)
			compare(t, s, "crossing", got[diag.CrossingRoutes], crossed)
			if gap != (len(got[diag.NotCovered]) == 1) || len(got[diag.ReachUnknown]) > 0 {
				t.Fatalf("gap %v, diagnostics %v", gap, got)
			}
			unreachable, crossing = unreachable+len(hidden), crossing+len(crossed)
		}
	}
	t.Logf("%d unreachable and %d crossing rules, none missed, none in error", unreachable, crossing)
}

func compare(t *testing.T, s *model.Service, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		var rules strings.Builder
		for _, r := range s.Routes {
			fmt.Fprintf(&rules, "%s %v %+v\n", r.Name, r.Ports, r.Match)
		}
		t.Fatalf("%s: got %v, want %v of\n%s", what, got, want, rules.String())
	}
}

// brute finds by trial what check finds by proof.
func brute(s *model.Service) (hidden, crossed []string, gap bool) {
	n := len(s.Routes)
	accepts := make([][]bool, n)
	first := make([]int, len(everyRequest))
	for k, r := range everyRequest {
		first[k] = n
		for i, rule := range s.Routes {
			takes := answer.Takes(rule, r.Port, r)
			accepts[i] = append(accepts[i], takes)
			if takes && first[k] == n {
				first[k] = i
			}
		}
		gap = gap || first[k] == n
	}
	for i, rule := range s.Routes {
		if !slices.Contains(first, i) {
			hidden = append(hidden, rule.Name)
			continue
		}
		for j := range i {
			both, only := false, false
			for k := range everyRequest {
				both = both || accepts[i][k] && first[k] == j
				only = only || accepts[j][k] && !accepts[i][k]
			}
			if both && only {
				crossed = append(crossed, rule.Name)
				break
			}
		}
	}
	return hidden, crossed, gap
}
