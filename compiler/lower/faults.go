package lower

import (
	"reflect"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// faults attaches the faults of a service to the routes that they name.
func (l *lowering) faults(i int) {
	s, routes := l.intent.Services[i], l.mesh.Services[i].Routes
	for _, f := range s.Faults {
		at := slices.IndexFunc(routes, func(r *model.Route) bool { return r.Name == f.On.V })
		if at < 0 {
			panic("lower: intent was not checked: fault " + f.Name.V + " is on an unknown route")
		}
		l.attach(s, routes[at], f)
	}
	for _, r := range routes {
		l.faulted(r)
	}
}

func (l *lowering) attach(s *intent.Service, r *model.Route, f *intent.Fault) {
	until := checked(literal.Time(f.Until.V))
	to := l.faultScope(s, r, f)
	if d := f.Delay; d != nil {
		r.Delay = &model.Delay{FaultScope: to, Name: f.Name.V, Fixed: duration(d.Fixed), BasisPoints: percent(d.Percent), Until: until, Origin: d.At}
	}
	if a := f.Abort; a != nil {
		r.Abort = &model.Abort{FaultScope: to, Name: f.Name.V, BasisPoints: percent(a.Percent), Until: until, Origin: a.At}
		if a.GRPCStatus != nil {
			r.Abort.GRPCStatus = uint32(slices.Index(model.GRPCStatusNames, a.GRPCStatus.V))
		} else {
			r.Abort.Status = uint32(a.Status.V)
		}
	}
	if b := f.Bandwidth; b != nil {
		r.Bandwidth = &model.Bandwidth{
			FaultScope: to, Name: f.Name.V, KiBPerSecond: uint32(b.KiBPerSecond.V), BasisPoints: percent(b.Percent), Until: until, Origin: b.At,
		}
	}
}

// faultScope resolves what a fault is for, and reports one that is for none of
// its route's requests.
func (l *lowering) faultScope(s *intent.Service, r *model.Route, f *intent.Fault) model.FaultScope {
	out := model.FaultScope{Match: matches(f.Match), MaxActive: uint32(scope.Or(f.MaxActive, 0))}
	out.From = l.named(f.From, scope.ServiceRef(s).Namespace)
	if _, some := meetAll(r.Match, out.Match); !some && len(out.Match) > 0 {
		l.diags.Add(diag.New(diag.FaultWithoutEffect, out.Match[0].Origin, "fault %q: route %q takes none of these requests", f.Name.V, r.Name))
	}
	return out
}

// injected is the faults of one route that are for the same requests.
type injected struct {
	match []model.Match
	add   []func(*model.Faulted)
}

// faulted divides the requests of a route by the faults that they meet, the
// most faults first: where matches of faults overlap, a request meets both.
func (l *lowering) faulted(r *model.Route) {
	some, all := injections(r)
	var sets []*model.Faulted
	for n := len(some); n > 0; n-- {
		for _, chosen := range choose(len(some), n) {
			set := &model.Faulted{Match: r.Match}
			met := true
			for _, i := range chosen {
				if set.Match, met = meetAll(set.Match, some[i].match); !met {
					break
				}
				some[i].to(set)
			}
			if met {
				all.to(set)
				sets = append(sets, set)
			}
		}
	}
	for _, set := range sets {
		if len(set.Match) > maxAlternatives {
			d := diag.New(diag.TooManyAlternatives, r.Origin, "route %q: met with what its faults match it becomes more than %d alternatives", r.Name, maxAlternatives)
			l.diags.Add(d)
			return
		}
	}
	r.Faulted = sets
}

func (in injected) to(set *model.Faulted) {
	for _, add := range in.add {
		add(set)
	}
}

// injections are the faults of r by what they match, and those that are for
// every request.
func injections(r *model.Route) (some []injected, all injected) {
	note := func(match []model.Match, add func(*model.Faulted)) {
		if len(match) == 0 {
			all.add = append(all.add, add)
			return
		}
		at := slices.IndexFunc(some, func(in injected) bool { return reflect.DeepEqual(in.match, match) })
		if at < 0 {
			at = len(some)
			some = append(some, injected{match: match})
		}
		some[at].add = append(some[at].add, add)
	}
	if d := r.Delay; d != nil {
		note(d.Match, func(set *model.Faulted) { set.Delay = d })
	}
	if a := r.Abort; a != nil {
		note(a.Match, func(set *model.Faulted) { set.Abort = a })
	}
	if b := r.Bandwidth; b != nil {
		note(b.Match, func(set *model.Faulted) { set.Bandwidth = b })
	}
	return some, all
}

// choose lists the subsets of k of n things, n being 3 at most, in order.
func choose(n, k int) [][]int {
	var out [][]int
	for bits := range 1 << n {
		var one []int
		for i := range n {
			if bits&(1<<i) != 0 {
				one = append(one, i)
			}
		}
		if len(one) == k {
			out = append(out, one)
		}
	}
	return out
}

// meetFaulted narrows the sets of a route that a gateway's rule meets.
func meetFaulted(sets []*model.Faulted, match []model.Match) []*model.Faulted {
	var out []*model.Faulted
	for _, f := range sets {
		if met, ok := meetAll(match, f.Match); ok {
			out = append(out, &model.Faulted{Match: met, Delay: f.Delay, Abort: f.Abort, Bandwidth: f.Bandwidth})
		}
	}
	return out
}
