package check_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// sizes of lists, with a number of lists of each, which MESHC_SOAK multiplies.
func sizes(visit func(size int)) {
	times := 1
	if os.Getenv("MESHC_SOAK") != "" {
		times = 40
	}
	for _, size := range []int{1, 2, 3, 5, 8, 13, 20, 40, 80, 200} {
		for range times * max(1, 20/size) {
			visit(size)
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

// some says that a request of the domain is marked.
func some(marks []bool) bool { return slices.Contains(marks, true) }

// both marks what both mark.
func both(a, b []bool) []bool {
	out := make([]bool, len(a))
	for i := range a {
		out[i] = a[i] && b[i]
	}
	return out
}

// TestOverlapOfLimits: limits are reported when they count none of the requests
// that are let in, when a smaller one before them counts all that they count, and
// when they count a request where another one does.
func TestOverlapOfLimits(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 180))
	y := newTally(t)
	server := &model.RateLimitService{}
	sizes(func(size int) {
		s := &model.Service{
			Ref: model.Ref{Name: "a"}, Host: "a", MTLS: model.MTLSPermissive, Ports: []model.Port{{Number: 80}, {Number: 81}},
			Allow: randomRules(1+rng.IntN(3), 1000, rng), Deny: randomRules(rng.IntN(3), 2000, rng),
		}
		for i := range size {
			l := model.RateLimit{Name: fmt.Sprint(i), Enforced: []uint32{0, 5000, 10000, 10000}[rng.IntN(4)], Origin: at(i + 1)}
			for _, r := range randomRules(rng.IntN(3), 0, rng) {
				m := model.Match{Methods: r.Methods, Paths: r.Paths[:min(len(r.Paths), 1+rng.IntN(2))]}
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
		// Which requests meet a match that is none cannot be shown.
		y.look(&model.Mesh{TrustDomain: "td", Services: []*model.Service{s}}, diag.LimitPreceded, diag.CountedTwice)
		none, preceded, twice := bruteLimits(s)
		y.is(diag.LimitNotMet, none, s.RateLimits)
		y.is(diag.LimitPreceded, preceded, s.RateLimits)
		y.is(diag.CountedTwice, twice, s.RateLimits)
	})
	y.end(diag.LimitNotMet, diag.LimitPreceded, diag.CountedTwice)
}

func bruteLimits(s *model.Service) (none, preceded, twice []int32) {
	in := make([]bool, len(everyAsking))
	for i, q := range everyAsking {
		in[i] = answer.Authorize("td", s, q.caller, q.req, q.req.Port).Allowed
	}
	if !some(in) {
		return nil, nil, nil
	}
	rate := func(l *model.LocalLimit) *big.Rat { return big.NewRat(int64(l.Requests), int64(l.Per)) }
	counts := make([][]bool, len(s.RateLimits))
	for i := range s.RateLimits {
		l := &s.RateLimits[i]
		counts[i] = make([]bool, len(in))
		for k, q := range everyAsking {
			counts[i][k] = in[k] && answer.Counts(l, q.req)
		}
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

// TestOverlapOfFaults: faults are reported when no request meets them, when one
// answers all that another one would slow down or that a route would copy, and
// when they meet the same requests; matches of them, when they add nothing.
func TestOverlapOfFaults(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 181))
	y := newTally(t)
	sizes(func(size int) {
		s := &model.Service{Ref: model.Ref{Name: "a"}, Host: "a", Ports: []model.Port{{Number: 80}, {Number: 81}}, Routes: randomRoutes(size, rng)}
		line := 1000
		for _, r := range s.Routes {
			line += 100
			addFaults(r, line, rng)
		}
		y.look(&model.Mesh{Services: []*model.Service{s}}, diag.UnderAbort, diag.FaultsMeet)
		want := bruteFaults(s)
		for _, code := range []diag.Code{diag.FaultNotMet, diag.UnderAbort, diag.FaultsMeet} {
			y.is(code, want[code], s.Routes)
		}
		inFaults := slices.DeleteFunc(y.got[diag.HiddenMatch], func(line int32) bool { return line < 1000 })
		y.got[diag.HiddenMatch] = inFaults
		y.is(diag.HiddenMatch, want[diag.HiddenMatch], s.Routes)
	})
	y.end(diag.FaultNotMet, diag.UnderAbort, diag.FaultsMeet, diag.HiddenMatch)
}

// callersOfFaults are who calls, one of them by no fault's name.
var callersOfFaults = []model.Caller{
	{Ref: model.Ref{Name: "x"}, SPIFFEID: "spiffe://td/ns/d/sa/x"}, {Ref: model.Ref{Name: "y"}, SPIFFEID: "spiffe://td/ns/d/sa/y"}, {Ref: model.Ref{Name: "z"}, SPIFFEID: "spiffe://td/ns/d/sa/z"},
}

func addFaults(r *model.Route, line int, rng *rand.Rand) {
	bound := uint32(max(0, rng.IntN(4)-2))
	until := func() time.Time { return time.Date(2999, 1, 1+rng.IntN(2), 0, 0, 0, 0, time.UTC) }
	scope := func(line int) model.FaultScope {
		out := model.FaultScope{MaxActive: bound}
		if rng.IntN(2) == 0 {
			for i, m := range randomRoutes(1, rng)[0].Match {
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
func bruteFaults(s *model.Service) map[diag.Code][]int32 {
	out := map[diag.Code][]int32{}
	first := firstTaken(s)
	n := len(everyRequest)
	for i, r := range s.Routes {
		gets := make([]bool, n*len(callersOfFaults))
		for c := range callersOfFaults {
			for k := range everyRequest {
				gets[c*n+k] = first[k] == i
			}
		}
		if some(gets) {
			bruteFaultsOf(r, gets, out)
		}
	}
	return out
}

func bruteFaultsOf(r *model.Route, gets []bool, out map[diag.Code][]int32) {
	n := len(everyRequest)
	meets := func(f *model.FaultScope, matches []model.Match) []bool {
		marks := make([]bool, len(gets))
		for k, q := range everyRequest {
			takes := len(matches) == 0 || slices.ContainsFunc(matches, func(m model.Match) bool { return answer.Accepts(&m, q) })
			for c, caller := range callersOfFaults {
				marks[c*n+k] = gets[c*n+k] && takes && f.Concerns(caller.Ref)
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

// firstTaken is, for every request, the index of the route that takes it.
func firstTaken(s *model.Service) []int {
	first := make([]int, len(everyRequest))
	for k, r := range everyRequest {
		first[k] = slices.IndexFunc(s.Routes, func(rule *model.Route) bool { return answer.Takes(rule, r.Port, r) })
	}
	return first
}

// TestOverlapOfRefusals: what is public, or asked about, is reported when no rule
// lets any of it in; a deny rule or an exception, when it takes nothing away.
func TestOverlapOfRefusals(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 182))
	y := newTally(t)
	domain := everyToken()
	sizes(func(size int) {
		few := func(from int) []model.Rule { return tokenRules(rng.IntN(size+1), from, rng) }
		s := &model.Service{
			Ref: model.Ref{Name: "a"}, Host: "a", MTLS: model.MTLSPermissive, Ports: []model.Port{{Number: 80}},
			JWT: []model.JWT{{Name: "p", Required: true}}, Allow: tokenRules(1+rng.IntN(size), 1000, rng), Deny: few(2000), Public: requestsOnly(few(3000)),
			Authorizer: &model.Authorizer{On: requestsOnly(few(4000)), Except: requestsOnly(few(5000))},
		}
		y.look(&model.Mesh{TrustDomain: "td", Services: []*model.Service{s}}, diag.RefusedAnyway, diag.RefusesNothing)
		anyway, nothing := bruteRefusals(s, domain)
		y.is(diag.RefusedAnyway, anyway, s)
		y.is(diag.RefusesNothing, nothing, s)
	})
	y.end(diag.RefusedAnyway, diag.RefusesNothing)
}

// everyToken is all that the conditions of tokenRules can tell apart.
func everyToken() []asking {
	var out []asking
	for _, q := range everyAsking {
		if q.req.Port != 80 || q.req.Source != netip.MustParseAddr("10.0.0.1") {
			continue
		}
		sub := func(values ...string) []model.Header {
			out := []model.Header{{Name: "p"}}
			for _, v := range values {
				out = append(out, model.Header{Name: model.ClaimName("p", "sub"), Value: v})
			}
			return out
		}
		for _, claims := range [][]model.Header{nil, sub(), sub("x"), sub("y"), sub("x", "y")} {
			with := *q.req
			with.Claims = claims
			out = append(out, asking{q.caller, &with})
		}
	}
	return out
}

// tokenRules are randomRules that look at tokens in place of addresses and ports.
func tokenRules(n, from int, rng *rand.Rand) []model.Rule {
	out := randomRules(n, from, rng)
	for i := range out {
		r := &out[i]
		r.IPs, r.NotIPs, r.Ports, r.NotPorts = nil, nil, nil, nil
		if rng.IntN(3) == 0 {
			r.Claims = []model.NamedMatch{{Name: model.ClaimName("p", "sub"), Kind: model.Exact, Value: []string{"x", "y"}[rng.IntN(2)], Not: rng.IntN(3) == 0}}
		}
	}
	return out
}

// requestsOnly are rules that look at requests alone.
func requestsOnly(rules []model.Rule) []model.Rule {
	for i := range rules {
		r := rules[i]
		rules[i] = model.Rule{Any: true, Methods: r.Methods, Paths: r.Paths, Origin: r.Origin}
	}
	return rules
}

func bruteRefusals(s *model.Service, domain []asking) (anyway, nothing []int32) {
	marks := func(list []model.Rule) [][]bool {
		out := make([][]bool, len(list))
		for i := range list {
			alone := &model.Service{Allow: list[i : i+1]}
			out[i] = make([]bool, len(domain))
			for k, q := range domain {
				out[i][k] = answer.Authorize("td", alone, q.caller, q.req, 80).Allowed
			}
		}
		return out
	}
	any := func(lists [][]bool) []bool {
		out := make([]bool, len(domain))
		for _, l := range lists {
			for k := range out {
				out[k] = out[k] || l[k]
			}
		}
		return out
	}
	allow, deny := marks(s.Allow), marks(s.Deny)
	allowed, denied := any(allow), any(deny)
	in, bare := make([]bool, len(domain)), make([]bool, len(domain))
	for k, q := range domain {
		in[k] = allowed[k] && !denied[k]
		bare[k] = !q.req.HasToken("p")
	}
	public, on, except := marks(s.Public), marks(s.Authorizer.On), marks(s.Authorizer.Except)
	for i := range public {
		if m := both(public[i], bare); some(in) && some(m) && !some(both(m, in)) {
			anyway = append(anyway, s.Public[i].Origin.Start.Line)
		}
	}
	for i := range on {
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
