// Package changed says how far a change of one service reaches: what of it
// others may look at, and who has looked at whom. It is what the memory of a
// session relies on (docs/decisions/0009-one-change.md).
package changed

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// placeless are digests that do not depend on places.
var placeless = digest.Without[diag.Range]()

// Outline is the digest of what passes over the whole mesh may look at in a
// service or gateway: all of it, but for what is listed here, which passes over
// one of them alone judge. A field that is new is part of it by itself.
type Outline struct {
	Content digest.Sum // without places
	Placed  digest.Sum
}

// Of gives the outline of a service as it was written.
func Of(s *intent.Service) Outline {
	seen := *s
	seen.Faults = nil
	seen.Routes = slices.Clone(s.Routes)
	for i, r := range seen.Routes {
		route := *r
		route.Match, route.Except = nil, nil
		route.Timeout, route.MaxDuration, route.IdleTimeout, route.Retries = nil, nil, nil, nil
		route.RequestHeaders, route.ResponseHeaders, route.Rewrite = nil, nil, nil
		route.To = slices.Clone(r.To)
		for k, w := range r.To {
			route.To[k] = &intent.Weight{Version: w.Version}
		}
		seen.Routes[i] = &route
	}
	return Outline{placeless.Of(&seen), digest.Of(&seen)}
}

// OfModel gives the outline of what a service was lowered to.
func OfModel(s *model.Service) Outline {
	seen := *s
	seen.Routes = slices.Clone(s.Routes)
	for i, r := range seen.Routes {
		seen.Routes[i] = outlined(r)
	}
	return Outline{placeless.Of(&seen), digest.Of(&seen)}
}

// OfGateway gives the outline of what a gateway was lowered to.
func OfGateway(g *model.Gateway) Outline {
	seen := *g
	seen.Listeners = slices.Clone(g.Listeners)
	for i, l := range seen.Listeners {
		hosts := slices.Clone(l.Hosts)
		for k, h := range hosts {
			hosts[k].Routes = slices.Clone(h.Routes)
			for n, r := range h.Routes {
				route := *r
				route.Route = outlined(r.Route)
				hosts[k].Routes[n] = &route
			}
		}
		seen.Listeners[i].Hosts = hosts
	}
	return Outline{placeless.Of(&seen), digest.Of(&seen)}
}

func outlined(r *model.Route) *model.Route {
	if r == nil {
		return nil
	}
	out := *r
	out.Match, out.Split = nil, nil
	out.Timeout, out.TimeoutOrigin, out.MaxDuration, out.IdleTimeout, out.Retry = 0, model.Origin{}, 0, 0, nil
	out.RequestHeaders, out.ResponseHeaders, out.Rewrite = model.HeaderOps{}, model.HeaderOps{}, nil
	out.Delay, out.Abort, out.Bandwidth, out.Faulted = nil, nil, nil, nil
	return &out
}

// Reads remembers which units (services, gateways, externals, by number) asked
// for what is called so. What a unit asked for once stays remembered, which
// costs time at most. The zero value is ready.
type Reads struct {
	unit   int32
	on     bool
	number map[model.Ref]int32 // of names
	names  []model.Ref
	asked  [][]int32 // numbers of names, by unit
	askers [][]int32 // units, by the number of the name
}

// WholeMesh stands for what depends on the outlines of all: no thing is called
// so.
var WholeMesh model.Ref

// Begin says that what is asked for from now on is asked for by a unit. A nil
// Reads does not care.
func (r *Reads) Begin(unit int) {
	if r == nil {
		return
	}
	r.unit, r.on = int32(unit), true
}

// End says that nobody is to be remembered from now on.
func (r *Reads) End() {
	if r != nil {
		r.on = false
	}
}

// Note remembers that the unit asked for what is called ref. A nil Reads
// remembers nothing.
func (r *Reads) Note(ref model.Ref) {
	if r == nil || !r.on {
		return
	}
	n := r.numberOf(ref)
	if more := int(r.unit) + 1 - len(r.asked); more > 0 {
		r.asked = append(r.asked, make([][]int32, more)...)
	}
	if slices.Contains(r.asked[r.unit], n) {
		return
	}
	r.asked[r.unit] = append(r.asked[r.unit], n)
	r.askers[n] = append(r.askers[n], r.unit)
}

// numberOf gives the number of a name, a new one to a new name.
func (r *Reads) numberOf(ref model.Ref) int32 {
	n, known := r.number[ref]
	if known {
		return n
	}
	if r.number == nil {
		r.number = map[model.Ref]int32{}
	}
	n = int32(len(r.names))
	r.number[ref] = n
	r.names, r.askers = append(r.names, ref), append(r.askers, nil)
	return n
}

// Askers are the units that asked for ref.
func (r *Reads) Askers(ref model.Ref) []int32 {
	if n, known := r.number[ref]; known {
		return r.askers[n]
	}
	return nil
}

// Between lists where two lists differ. It is not ok when they do not hold
// things of the same names in the same order.
func Between[T any](old, now []*T, name func(*T) model.Ref) (at []int, ok bool) {
	if len(old) != len(now) {
		return nil, false
	}
	for i := range now {
		if old[i] == now[i] {
			continue
		}
		if name(old[i]) != name(now[i]) {
			return nil, false
		}
		at = append(at, i)
	}
	return at, true
}

// Chosen gives the elements of a list at some places.
func Chosen[T any](all []*T, at []int) []*T {
	out := make([]*T, len(at))
	for i, k := range at {
		out[i] = all[k]
	}
	return out
}
