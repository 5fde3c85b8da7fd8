package check_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/soak"
)

// sizes of lists, with a number of lists of each, of which a soak has more, and
// where draws come from.
func sizes(t *testing.T, seed uint64, visit func(size int, rng *rand.Rand)) {
	t.Helper()
	from, to := soak.Seeds(t, 2, 100)
	rng := rand.New(rand.NewPCG(seed, from))
	for _, size := range []int{1, 2, 3, 5, 8, 13, 20, 40, 80, 200} {
		for range int(to-from) * max(1, 20/size) {
			visit(size, rng)
		}
	}
}

// tally counts what is reported, and holds it against what is to be reported.
type tally struct {
	t     *testing.T
	total map[diag.Code]int
	got   map[diag.Code][]int32 // places, of the mesh at hand
}

func newTally(t *testing.T) *tally { return &tally{t: t, total: map[diag.Code]int{}} }

// look judges a mesh. Every finding of codes has a witness, but where no request
// is what the finding is.
func (y *tally) look(m *model.Mesh, codes ...diag.Code) {
	y.got = map[diag.Code][]int32{}
	for _, d := range check.Model(m, time.Now()) {
		if d.Code == diag.ReachUnknown {
			y.t.Fatalf("not decided: %s", d.Message)
		}
		if slices.Contains(codes, d.Code) && d.Witness == "" {
			y.t.Errorf("%s without a witness: %s", d.Code, d.Message)
		}
		y.got[d.Code] = append(y.got[d.Code], d.Range.Start.Line)
		y.total[d.Code]++
	}
}

// is requires the places of one code.
func (y *tally) is(code diag.Code, want []int32, about any) {
	y.t.Helper()
	got := y.got[code]
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		y.t.Fatalf("%s at %v, want %v: %+v", code, got, want, about)
	}
}

// end requires that each code was found.
func (y *tally) end(codes ...diag.Code) {
	for _, code := range codes {
		y.t.Logf("%s: %d reported, none missed, none in error", code, y.total[code])
		if y.total[code] == 0 {
			y.t.Errorf("nothing was reported as %s", code)
		}
	}
}

func at(line int) diag.Range { return diag.Range{File: "a", Start: diag.NewPos(line, 1)} }

// TestOverlapOfLimits: limits are reported when they count none of the requests
// that are let in, when a smaller one before them counts all that they count, and
// when they count a request where another one does.
func TestOverlapOfLimits(t *testing.T) {
	kinds := newDrawn()
	y := newTally(t)
	server := &model.RateLimitService{}
	sizes(t, 180, func(size int, rng *rand.Rand) {
		d := drawCallers(rng)
		s := &model.Service{
			Ref: model.Ref{Name: "a"}, Host: "a", MTLS: model.MTLSPermissive, Ports: []model.Port{{Number: 80}, {Number: 81}},
			Allow: drawRules(d, 1+rng.IntN(3), 1000, rng), Deny: drawRules(d, rng.IntN(3), 2000, rng),
		}
		for i := range size {
			l := model.RateLimit{Name: fmt.Sprint(i), Enforced: []uint32{0, 5000, 10000, 10000}[rng.IntN(4)], Origin: at(i + 1)}
			for range rng.IntN(3) {
				m := drawMatch(d, rng)
				kinds.match(m)
				l.Match = append(l.Match, m)
			}
			if rng.IntN(4) == 0 {
				l.Server, l.Global = server, []model.DescriptorEntry{{Key: "k", Value: fmt.Sprint(rng.IntN(1 + size/2))}}
			} else {
				l.Local = &model.LocalLimit{Requests: 1 + rng.Uint32N(4), Burst: 1 + rng.Uint32N(4), Per: time.Duration(1+rng.IntN(3)) * time.Second}
			}
			if rng.IntN(4) == 0 {
				l.By = []model.LimitKey{{From: model.LimitPath}}
			}
			s.RateLimits = append(s.RateLimits, l)
		}
		kinds.rules(s.Allow, s.Deny)
		kinds.end(d.size())
		// Which requests meet a match that is none cannot be shown.
		y.look(&model.Mesh{TrustDomain: "td", Services: []*model.Service{s}}, diag.LimitPreceded, diag.CountedTwice)
		none, preceded, twice := bruteLimits(d, s)
		y.is(diag.LimitNotMet, none, s.RateLimits)
		y.is(diag.LimitPreceded, preceded, s.RateLimits)
		y.is(diag.CountedTwice, twice, s.RateLimits)
	})
	y.end(diag.LimitNotMet, diag.LimitPreceded, diag.CountedTwice)
	kinds.enough(t, ofRules)
}

func bruteLimits(d *domain, s *model.Service) (none, preceded, twice []int32) {
	in := letIn(d, s)
	if !some(in) {
		return nil, nil, nil
	}
	rate := func(l *model.LocalLimit) *big.Rat { return big.NewRat(int64(l.Requests), int64(l.Per)) }
	counts := make([][]bool, len(s.RateLimits))
	for i := range s.RateLimits {
		l := &s.RateLimits[i]
		counts[i] = both(in, d.any(l.Match))
		place := l.Origin.Start.Line
		if !some(counts[i]) {
			none = append(none, place)
			continue
		}
		before := false
		for k := range i {
			e := &s.RateLimits[k]
			if l.Server != nil && e.Server != nil && slices.Equal(l.Global, e.Global) && slices.Equal(l.By, e.By) && some(both(counts[k], counts[i])) {
				twice = append(twice, place)
			}
			before = before || l.Local != nil && e.Local != nil && len(e.By) == 0 && e.Enforced == model.BasisPointsWhole && l.Enforced > 0 &&
				e.Local.Burst <= l.Local.Burst && rate(e.Local).Cmp(rate(l.Local)) <= 0 && slices.Equal(both(counts[k], counts[i]), counts[i])
		}
		if before {
			preceded = append(preceded, place)
		}
	}
	return none, preceded, twice
}

// letIn marks what the rules of a service let in.
func letIn(d *domain, s *model.Service) []bool {
	in := make([]bool, d.size())
	for i := range s.Allow {
		join(in, d.holds(&s.Allow[i]))
	}
	for i := range s.Deny {
		for k, denied := range d.holds(&s.Deny[i]) {
			in[k] = in[k] && !denied
		}
	}
	return in
}

// TestOverlapOfFaults: faults are reported when no request meets them, when one
// answers all that another one would slow down or that a route would copy, and
// when they meet the same requests; matches of them, when they add nothing.
func TestOverlapOfFaults(t *testing.T) {
	kinds := newDrawn()
	y := newTally(t)
	sizes(t, 181, func(size int, rng *rand.Rand) {
		d := drawDomain(rng, routeAxes)
		s := &model.Service{Ref: model.Ref{Name: "a"}, Host: "a", Ports: []model.Port{{Number: 80}, {Number: 81}}, Routes: drawRoutes(d, size, rng)}
		line := 1000
		for _, r := range s.Routes {
			line += 100
			addFaults(d, r, line, rng)
			for _, f := range r.Faults() {
				for _, m := range f.Match {
					kinds.match(m)
				}
			}
		}
		kinds.routes(s.Routes)
		kinds.end(d.size() * len(callersOfFaults))
		y.look(&model.Mesh{Services: []*model.Service{s}}, diag.UnderAbort, diag.FaultsMeet)
		want := bruteFaults(d, s)
		for _, code := range []diag.Code{diag.FaultNotMet, diag.UnderAbort, diag.FaultsMeet} {
			y.is(code, want[code], s.Routes)
		}
		inFaults := slices.DeleteFunc(y.got[diag.HiddenMatch], func(line int32) bool { return line < 1000 })
		y.got[diag.HiddenMatch] = inFaults
		y.is(diag.HiddenMatch, want[diag.HiddenMatch], s.Routes)
	})
	y.end(diag.FaultNotMet, diag.UnderAbort, diag.FaultsMeet, diag.HiddenMatch)
	kinds.enough(t, ofRoutes)
}

// callersOfFaults are who calls, one of them by no fault's name.
var callersOfFaults = []model.Caller{
	{Ref: model.Ref{Name: "x"}, SPIFFEID: "spiffe://td/ns/d/sa/x"}, {Ref: model.Ref{Name: "y"}, SPIFFEID: "spiffe://td/ns/d/sa/y"}, {Ref: model.Ref{Name: "z"}, SPIFFEID: "spiffe://td/ns/d/sa/z"},
}

func addFaults(d *domain, r *model.Route, line int, rng *rand.Rand) {
	bound := uint32(max(0, rng.IntN(4)-2))
	until := func() time.Time { return time.Date(2999, 1, 1+rng.IntN(2), 0, 0, 0, 0, time.UTC) }
	scope := func(line int) model.FaultScope {
		out := model.FaultScope{MaxActive: bound}
		if rng.IntN(2) == 0 {
			for i, m := range drawRoutes(d, 1, rng)[0].Match {
				m.Origin = at(line + 10 + i)
				out.Match = append(out.Match, m)
			}
		}
		if from := rng.IntN(8); from < 4 {
			for i := range 2 {
				if from>>i&1 == 1 {
					out.From = append(out.From, callersOfFaults[i])
				}
			}
		}
		return out
	}
	share := func() uint32 { return []uint32{5000, 10000, 10000}[rng.IntN(3)] }
	if rng.IntN(2) == 0 {
		r.Delay = &model.Delay{FaultScope: scope(line), Name: "one", BasisPoints: share(), Fixed: time.Second, Until: until(), Origin: at(line)}
	}
	if rng.IntN(2) == 0 {
		r.Abort = &model.Abort{FaultScope: scope(line + 20), Name: "two", BasisPoints: share(), Status: 503, Until: until(), Origin: at(line + 20)}
		if r.Delay != nil && rng.IntN(4) == 0 { // of one name
			r.Abort.Name, r.Abort.FaultScope = "one", r.Delay.FaultScope
		}
	}
	if rng.IntN(2) == 0 {
		r.Bandwidth = &model.Bandwidth{FaultScope: scope(line + 40), Name: "three", BasisPoints: share(), KiBPerSecond: 1, Until: until(), Origin: at(line + 40)}
	}
	if rng.IntN(3) == 0 {
		r.Mirror = []model.Mirror{{Version: "v9", BasisPoints: 100, Origin: at(line + 60)}}
	}
}

// bruteFaults finds by trial what check finds by proof.
func bruteFaults(d *domain, s *model.Service) map[diag.Code][]int32 {
	out := map[diag.Code][]int32{}
	takes := make([][]bool, len(s.Routes))
	for i, r := range s.Routes {
		takes[i] = d.takes(r)
	}
	taken, n := first(takes, d.size()), d.size()
	for i, r := range s.Routes {
		gets := make([]bool, n*len(callersOfFaults))
		for c := range callersOfFaults {
			for k := range n {
				gets[c*n+k] = taken[k] == i
			}
		}
		if some(gets) {
			bruteFaultsOf(d, r, gets, out)
		}
	}
	return out
}

func bruteFaultsOf(d *domain, r *model.Route, gets []bool, out map[diag.Code][]int32) {
	n := d.size()
	meets := func(f *model.FaultScope, matches []model.Match) []bool {
		marks, takes := make([]bool, len(gets)), d.any(matches)
		for c, caller := range callersOfFaults {
			for k := 0; k < n && f.Concerns(caller.Ref); k++ {
				marks[c*n+k] = gets[c*n+k] && takes[k]
			}
		}
		return marks
	}
	say := func(code diag.Code, o model.Origin) {
		if place := o.Start.Line; !slices.Contains(out[code], place) || code != diag.HiddenMatch {
			out[code] = append(out[code], place)
		}
	}
	var met []model.Fault
	marks := map[string][]bool{}
	bounded := false
	none := map[string]bool{}
	for _, f := range r.Faults() {
		marks[f.Kind] = meets(&f.FaultScope, f.Match)
		if !some(marks[f.Kind]) {
			if !none[f.Name] {
				say(diag.FaultNotMet, f.Origin)
			}
			none[f.Name] = true
			continue
		}
		met, bounded = append(met, f), bounded || f.MaxActive > 0
		for i := range f.Match {
			if i > 0 && slices.Equal(meets(&f.FaultScope, f.Match[:i]), meets(&f.FaultScope, f.Match[:i+1])) ||
				i == 0 && len(f.Match) > 1 && !some(meets(&f.FaultScope, f.Match[:1])) {
				say(diag.HiddenMatch, f.Match[i].Origin)
			}
		}
	}
	aborted := func(marked []bool, until time.Time) bool {
		a := slices.IndexFunc(met, func(f model.Fault) bool { return f.Kind == "abort" })
		return a >= 0 && !bounded && met[a].BasisPoints == model.BasisPointsWhole && !met[a].Until.Before(until) && slices.Equal(both(marked, marks["abort"]), marked)
	}
	for i, f := range met {
		hidden := f.Kind == "bandwidth" && aborted(marks["bandwidth"], f.Until)
		if hidden {
			say(diag.UnderAbort, f.Origin)
		}
		for _, e := range met[:i] {
			if e.Name != f.Name && some(both(marks[e.Kind], marks[f.Kind])) && (!hidden || e.Kind != "abort") {
				say(diag.FaultsMeet, f.Origin)
			}
		}
	}
	for _, m := range r.Mirror {
		if aborted(gets, time.Time{}) {
			say(diag.UnderAbort, m.Origin)
		}
	}
}

// TestOverlapOfRefusals: what is public, or asked about, is reported when no rule
// lets any of it in; a deny rule or an exception, when it takes nothing away.
func TestOverlapOfRefusals(t *testing.T) {
	kinds := newDrawn()
	y := newTally(t)
	sizes(t, 182, func(size int, rng *rand.Rand) {
		d := drawCallers(rng)
		d.axes = slices.DeleteFunc(d.axes, func(a *axis) bool { return a.name == claimAxis().name })
		d.axes = append(d.axes, claimAxis())
		for d.size() > 200_000 {
			d.axes = slices.Delete(d.axes, 1, 2)
		}
		few := func(from int) []model.Rule { return drawRules(d, rng.IntN(size+1), from, rng) }
		s := &model.Service{
			Ref: model.Ref{Name: "a"}, Host: "a", MTLS: model.MTLSPermissive, Ports: []model.Port{{Number: 80}, {Number: 81}},
			JWT: []model.JWT{{Name: "p", Required: true}}, Allow: drawRules(d, 1+rng.IntN(size), 1000, rng), Deny: few(2000), Public: requestsOnly(few(3000)),
			Authorizer: &model.Authorizer{On: requestsOnly(few(4000)), Except: requestsOnly(few(5000))},
		}
		kinds.rules(s.Allow, s.Deny, s.Public, s.Authorizer.On, s.Authorizer.Except)
		kinds.end(d.size())
		y.look(&model.Mesh{TrustDomain: "td", Services: []*model.Service{s}}, diag.RefusedAnyway, diag.RefusesNothing)
		anyway, nothing := bruteRefusals(d, s)
		y.is(diag.RefusedAnyway, anyway, s)
		y.is(diag.RefusesNothing, nothing, s)
	})
	y.end(diag.RefusedAnyway, diag.RefusesNothing)
	kinds.enough(t, ofRules)
}

// requestsOnly are rules that look at requests alone.
func requestsOnly(rules []model.Rule) []model.Rule {
	for i := range rules {
		r := rules[i]
		rules[i] = model.Rule{Any: true, Methods: r.Methods, NotMethods: r.NotMethods, Paths: r.Paths, NotPaths: r.NotPaths, Headers: r.Headers, Hosts: r.Hosts, Origin: r.Origin}
	}
	return rules
}

func bruteRefusals(d *domain, s *model.Service) (anyway, nothing []int32) {
	marks := func(list []model.Rule) [][]bool {
		out := make([][]bool, len(list))
		for i := range list {
			out[i] = d.holds(&list[i])
		}
		return out
	}
	any := func(lists [][]bool) []bool {
		out := make([]bool, d.size())
		for _, l := range lists {
			join(out, l)
		}
		return out
	}
	allow, deny := marks(s.Allow), marks(s.Deny)
	allowed, denied := any(allow), any(deny)
	in := make([]bool, d.size())
	for k := range in {
		in[k] = allowed[k] && !denied[k]
	}
	bare := d.where(func(_ *axis, q asking) bool { return !q.req.HasToken("p") })
	public, on, except := marks(s.Public), marks(s.Authorizer.On), marks(s.Authorizer.Except)
	for i := range public {
		if m := both(public[i], bare); some(in) && some(m) && !some(both(m, in)) {
			anyway = append(anyway, s.Public[i].Origin.Start.Line)
		}
	}
	byHeaders := func(r model.Rule) bool { return len(r.Headers) > 0 } // which an authorizer may set
	for i := range on {
		if slices.ContainsFunc(s.Allow, byHeaders) || slices.ContainsFunc(s.Deny, byHeaders) {
			break
		}
		if some(in) && some(on[i]) && !some(both(on[i], in)) {
			anyway = append(anyway, s.Authorizer.On[i].Origin.Start.Line)
		}
	}
	for i := range deny {
		if some(allowed) && some(deny[i]) && !some(both(deny[i], allowed)) {
			nothing = append(nothing, s.Deny[i].Origin.Start.Line)
		}
	}
	for i := range except {
		if len(on) > 0 && some(except[i]) && !some(both(except[i], any(on))) {
			nothing = append(nothing, s.Authorizer.Except[i].Origin.Start.Line)
		}
	}
	return anyway, nothing
}

// checkOne gives the only finding of a code.
func checkOne(m *model.Mesh, code diag.Code) diag.Diagnostic {
	for _, d := range check.Model(m, time.Now()) {
		if d.Code == code {
			return d
		}
	}
	return diag.Diagnostic{}
}
