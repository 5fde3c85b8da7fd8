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

// TestReachabilityAgainstEveryRequest: exactly the rules that no request
// reaches are reported, and exactly those that cross an earlier one.
func TestReachabilityAgainstEveryRequest(t *testing.T) {
	from, to := soak.Seeds(t, 2, 100)
	rng, kinds := rand.New(rand.NewPCG(402, from)), newDrawn()
	unreachable, crossing := 0, 0
	for _, size := range []int{2, 3, 5, 8, 13, 20, 40, 80, 200} {
		for range max(1, 20/size) * int(to-from) {
			d := drawDomain(rng, routeAxes)
			s := &model.Service{Host: "a", Ports: []model.Port{{Number: 80}, {Number: 81}}, Routes: drawRoutes(d, size, rng)}
			kinds.routes(s.Routes)
			kinds.end(d.size())
			got := map[diag.Code][]string{}
			for _, d := range check.Model(&model.Mesh{Services: []*model.Service{s}}, time.Now()) {
				got[d.Code] = append(got[d.Code], fmt.Sprint(d.Range.Start.Line-1))
				if d.Code != diag.NeverMatches && d.Witness == "" {
					t.Errorf("%s without a witness", d.Code)
				}
			}
			hidden, crossed, gap := brute(d, s)
			compare(t, s, "unreachable", append(got[diag.ShadowedRoute], got[diag.NeverMatches]...), hidden)
			compare(t, s, "crossing", got[diag.CrossingRoutes], crossed)
			if gap != (len(got[diag.NotCovered]) == 1) || len(got[diag.ReachUnknown]) > 0 {
				t.Fatalf("gap %v, diagnostics %v", gap, got)
			}
			unreachable, crossing = unreachable+len(hidden), crossing+len(crossed)
		}
	}
	t.Logf("%d unreachable and %d crossing rules, none missed, none in error", unreachable, crossing)
	kinds.enough(t, ofRoutes)
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
func brute(d *domain, s *model.Service) (hidden, crossed []string, gap bool) {
	n := len(s.Routes)
	accepts := make([][]bool, n)
	for i, r := range s.Routes {
		accepts[i] = d.takes(r)
	}
	taken := first(accepts, d.size())
	for i, rule := range s.Routes {
		if !slices.Contains(taken, i) {
			hidden = append(hidden, rule.Name)
			continue
		}
		for j := range i {
			if competes(taken, j, accepts[j], accepts[i]) {
				crossed = append(crossed, rule.Name)
				break
			}
		}
	}
	return hidden, crossed, slices.Contains(taken, n)
}

// competes says that rule j, which comes first, takes requests of the other, and
// accepts some that the other does not.
func competes(taken []int, j int, earlier, other []bool) bool {
	shared, only := false, false
	for k := range earlier {
		shared = shared || other[k] && taken[k] == j
		only = only || earlier[k] && !other[k]
	}
	return shared && only
}

// TestDomainIsWhatRequestsSay: the marks of a domain, which are put together from
// single coordinates, are what package answer says of whole requests.
func TestDomainIsWhatRequestsSay(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 3))
	for range 200 {
		d := drawDomain(rng, append(slices.Clone(routeAxes), claimAxis))
		for _, r := range drawRoutes(d, 3, rng) {
			marks := d.takes(r)
			for range 20 {
				i := rng.IntN(d.size())
				if q := d.at(i); answer.Takes(r, q.req.Port, q.req) != marks[i] {
					t.Fatalf("%+v of %+v: marked %v", q.req, r.Match, marks[i])
				}
			}
		}
		d = drawCallers(rng)
		for _, r := range drawRules(d, 3, 0, rng) {
			marks := d.holds(&r)
			for range 20 {
				i := rng.IntN(d.size())
				q := d.at(i)
				if answer.Authorize("td", &model.Service{Allow: []model.Rule{r}}, q.caller, q.req, q.req.Port).Allowed != marks[i] {
					t.Fatalf("%+v of %+v: marked %v", q.req, r, marks[i])
				}
			}
		}
	}
}
