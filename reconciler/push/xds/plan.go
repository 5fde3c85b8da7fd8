package xds

import (
	"sort"
	"time"
)

// chunkBytes bounds one delta response: grpc clients refuse messages above
// 4 MiB unless told otherwise. A single larger resource goes alone.
const chunkBytes = 3 << 20

// verdict on what the client holds under one name.
type verdict uint8

const (
	settled verdict = iota // as wanted
	send                   // a resource has to be sent
	tell                   // the client has to learn that there is none
	refused                // wanted, but this node refused it and has no older one
)

// plan gives what can be sent now. It is worked out anew from what the client
// confirmed and what is wanted, so that it does not matter how often the goal
// moved. Additions of every type come before any removal.
func (s *session) plan(now time.Time) []*response {
	if s.calm {
		s.calm = false
		return nil
	}
	if s.target == nil {
		return nil
	}
	s.reconsider(now)
	s.calm = false // this is the plan
	p := &planner{session: s, now: now, waits: map[waitKey]*Wait{}}
	var out []*response
	for t := SDS; t < typeCount; t++ {
		if r := p.additions(t); r != nil {
			out = append(out, r)
		}
	}
	idle := p.pending == 0 && s.quiet()
	stale := p.stale()
	if len(stale) > 0 && (idle && p.closed() || p.lapsed(waitKey{held: drainKey})) {
		out = append(out, p.removals(stale)...)
	}
	s.waits = p.waits
	s.done = idle && len(stale) == 0 && s.quiet() && p.refused == 0 && p.complete()
	if s.done {
		s.confirmed()
	}
	return out
}

// confirmed notes that the whole target is in the client's hands.
func (s *session) confirmed() {
	if s.target == s.desired {
		s.memory.healthy()
	}
	if s.programmed != s.target.commit || s.memory.stale(s.target) {
		s.programmed = s.target.commit
		s.memory.confirm(s.target)
	}
}

// quiet says whether no response is in flight.
func (s *session) quiet() bool {
	for t := range s.types {
		if s.types[t].flight != nil {
			return false
		}
	}
	return true
}

// next gives the moment at which a wait runs out or what was refused is tried
// again, if there is one.
func (s *session) next() (time.Time, bool) {
	first := s.retryAt
	for _, w := range s.waits {
		if end := w.Since.Add(s.timeout); !w.TimedOut && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	return first, !first.IsZero()
}

// planner is one pass of plan.
type planner struct {
	*session
	now     time.Time
	waits   map[waitKey]*Wait
	pending int // additions that are not in the client's hands
	refused int // wanted, and replaced by what was there before a NACK
}

// wanted gives what the client should hold under a name, and what has to be
// done for it.
func (s *session) wanted(k Key) (*Resource, verdict) {
	ts := &s.types[k.Type]
	want, held := s.target.get(k), ts.acked[k.Name]
	if want != nil {
		if good, blocked := s.memory.blocked(want, s.target); blocked {
			if want = good; want == nil {
				want = held
			}
			if want == nil || want.opaque {
				return want, refused
			}
			if _, again := s.memory.blocked(want, s.target); again {
				return nil, refused
			}
		}
	} else if ts.subs[k.Name] {
		want = s.retained[k]
	}
	_, known := ts.acked[k.Name]
	switch {
	case want != nil && (held == nil || held.Version != want.Version || ts.force[k.Name] || ts.unsure[k.Name]):
		return want, send
	case want != nil:
		return want, settled
	case held == nil && (!known && ts.subs[k.Name] || ts.force[k.Name]):
		return nil, tell
	}
	return nil, settled
}

// candidates gives the names of a type that the client has to do with, sorted.
func (s *session) candidates(t Type) []string {
	ts := &s.types[t]
	names := make(map[string]bool, len(ts.subs)+len(ts.force))
	if ts.wild {
		for n := range s.target.res[t] {
			names[n] = true
		}
	}
	for n := range ts.subs {
		names[n] = true
	}
	for n := range ts.force {
		names[n] = true
	}
	return sorted(names)
}

// additions gives the response that brings new and changed resources of a
// type, and says that asked-for names do not exist.
func (p *planner) additions(t Type) *response {
	ts := &p.types[t]
	if !ts.seen {
		return nil
	}
	items, held, size := map[string]*Resource{}, 0, 0
	for _, name := range p.candidates(t) {
		k := Key{t, name}
		r, v := p.wanted(k)
		if goal := p.target.get(k); goal != nil && (r == nil || r.Version != goal.Version) {
			p.refused++
		}
		if v == refused || v == settled {
			delete(ts.force, name)
			continue
		}
		p.pending++
		if ts.flight != nil {
			p.keepWaits(k)
			continue
		}
		if v == send && !p.open(r) {
			held++
			continue
		}
		if r != nil {
			if size += len(r.Body.GetValue()); size > chunkBytes && len(items) > 0 && !p.full {
				continue
			}
		}
		items[name] = r
	}
	return p.first(t, items, held)
}

// first lets a first wildcard answer go only when it is whole, because a
// client takes it for all there is. A delta client gets what is safe after the
// timeout; a state-of-the-world client would drop the rest, and waits on.
func (p *planner) first(t Type, items map[string]*Resource, held int) *response {
	ts := &p.types[t]
	if ts.flight != nil {
		return nil
	}
	greeting := ts.wild && !ts.answered
	if greeting {
		p.pending++
		if held > 0 && (p.full || len(items) == 0 || !p.lapsed(waitKey{held: Key{t, wildcard}})) {
			return nil
		}
	}
	if len(items) == 0 && (!greeting || held > 0 || len(p.target.res[t]) > 0) {
		return nil // never greet with nothing where there is something
	}
	ts.answered = ts.answered || ts.wild
	return p.respond(t, items)
}

// respond puts a response in flight.
func (p *planner) respond(t Type, items map[string]*Resource) *response {
	ts := &p.types[t]
	r := &response{typ: t, nonce: p.nextNonce(), commit: p.target.commit}
	for name, res := range items {
		delete(ts.force, name)
		if t == CDS && res != nil {
			p.rewarm(res)
		}
	}
	whole := p.after(t, items)
	r.version = setVersion(whole)
	sent := items
	if p.full {
		sent = whole
	}
	for _, name := range sorted(sent) {
		if res := sent[name]; res != nil {
			r.resources = append(r.resources, res)
		} else {
			r.removed = append(r.removed, name)
		}
	}
	ts.flight = &flight{nonce: r.nonce, version: r.version, commit: r.commit, items: items, since: p.now}
	return r
}

// after gives the set that the client holds once it took items.
func (p *planner) after(t Type, items map[string]*Resource) map[string]*Resource {
	whole := make(map[string]*Resource, len(p.types[t].acked)+len(items))
	for n, r := range p.types[t].acked {
		if r != nil {
			whole[n] = r
		}
	}
	for n, r := range items {
		if r == nil {
			delete(whole, n)
		} else {
			whole[n] = r
		}
	}
	return whole
}

// rewarm has the endpoints of a changed cluster sent again: Envoy warms a
// changed cluster anew and waits for an assignment that comes after it.
func (p *planner) rewarm(cluster *Resource) {
	cds := &p.types[CDS]
	held := cds.acked[cluster.Name]
	if !cds.wild || held == nil || held.Version == cluster.Version && cds.maybe[cluster.Name] == nil {
		return
	}
	for _, k := range cluster.Needs {
		if k.Type == EDS && p.types[EDS].acked[k.Name] != nil {
			p.types[EDS].force[k.Name] = true
		}
	}
}

// removals gives one response per type for what nothing needs any more.
func (p *planner) removals(stale []Key) []*response {
	used, unknown := p.inUse()
	items := [typeCount]map[string]*Resource{}
	for _, k := range stale {
		if used[k] || unknown[k.Type] || p.types[k.Type].flight != nil || p.types[k.Type].stuck[k.Name] {
			continue
		}
		if items[k.Type] == nil {
			items[k.Type] = map[string]*Resource{}
		}
		items[k.Type][k.Name] = nil
		delete(p.retained, k)
	}
	var out []*response
	for _, t := range removalOrder {
		if items[t] != nil {
			out = append(out, p.respond(t, items[t]))
		}
	}
	return out
}

// stale gives what the client holds and the target does not: retired.
func (p *planner) stale() []Key {
	var out []Key
	for t := range p.types {
		for _, held := range []map[string]*Resource{p.types[t].acked, p.types[t].maybe} {
			for n, r := range held {
				if k := (Key{Type(t), n}); r != nil && p.target.get(k) == nil {
					out = append(out, k)
				}
			}
		}
	}
	return out
}

// inUse gives everything that something in the client's hands refers to, and
// the types of which nothing may go because not all that refers to them is
// known: a client that reconnects has not said yet what it holds of a type, or
// holds a resource that this server has not sent.
func (p *planner) inUse() (used map[Key]bool, unknown [typeCount]bool) {
	used = map[Key]bool{}
	blind := func(t Type) {
		for _, below := range refersTo[t] {
			unknown[below] = true
		}
	}
	for _, t := range []Type{LDS, CDS} {
		if !p.types[t].seen {
			blind(t)
		}
	}
	p.eachHeld(func(r *Resource) {
		if r.opaque {
			blind(r.Type)
		}
		for _, k := range r.Needs {
			used[k] = true
			if _, known := p.types[RDS].acked[k.Name]; k.Type == RDS && !known {
				blind(RDS)
			}
		}
	})
	return used, unknown
}

// refersTo gives the types that a type's resources lead to.
var refersTo = [typeCount][]Type{
	CDS: {EDS, SDS},
	LDS: {RDS, CDS, EDS, SDS},
	RDS: {CDS, EDS, SDS},
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
