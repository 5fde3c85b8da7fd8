package xds

import (
	"fmt"
	"strconv"
	"time"
)

// session is the protocol state of one ADS stream. It does no I/O and reads no
// clock: events go in, responses come out. Its caller serialises the calls.
//
// Per type one response is in flight at a time; whatever changes meanwhile is
// worked out anew when the answer comes, so that nothing queues up and a newer
// desired state simply replaces the older one.
type session struct {
	full    bool // state of the world: every response holds the whole set
	timeout time.Duration
	memory  *memory

	desired  *nodeSet // what the controller wants
	target   *nodeSet // what the stream is led to: desired, or the last good set
	retained map[Key]*Resource
	types    [typeCount]typeState
	pardons  int       // of memory, that this session has followed
	retryAt  time.Time // when memory pardons next; zero: never

	nonces     uint64
	waits      map[waitKey]*Wait
	programmed string // newest commit that was confirmed in full
	done       bool   // nothing is left to send or to be confirmed
	calm       bool   // nothing has happened since that was found: the next plan is empty
}

// typeState is what the client subscribes to and holds of one type.
type typeState struct {
	seen     bool // a first request came
	wild     bool
	explicit bool // names were given: an empty list no longer means all
	answered bool // the wildcard subscription got its first response
	strange  bool // a reconnecting client holds a set that this server does not know
	subs     map[string]bool

	// acked is what the client confirmed; nil: it confirmed that there is none.
	acked map[string]*Resource
	// maybe is what the client refused as part of a response and may hold all
	// the same: Envoy applies the good part of a response that it refuses.
	maybe map[string]*Resource
	// force names what must be answered although the version is unchanged.
	force map[string]bool
	// stuck names what the client refused to remove; it is not asked again
	// before the target changes.
	stuck map[string]bool
	// unsure names what the client refused to take or to remove as part of a
	// response and may have taken or removed all the same; it is sent again
	// where it is wanted again, however long after.
	unsure map[string]bool
	flight *flight

	lastNonce string
	lastACK   *Answer
	lastNACK  *Answer
}

// flight is one response that was sent and not answered yet.
type flight struct {
	nonce, version, commit string
	items                  map[string]*Resource // nil: removed or absent
	since                  time.Time
}

// response is one message to the client.
type response struct {
	typ                    Type
	nonce, version, commit string
	resources              []*Resource // sorted by name
	removed                []string    // sorted; delta only
}

func newSession(full bool, timeout time.Duration, m *memory) *session {
	s := &session{full: full, timeout: timeout, memory: m, retained: map[Key]*Resource{}, waits: map[waitKey]*Wait{}}
	s.pardons, s.retryAt = m.pardon(time.Time{})
	for t := range s.types {
		s.types[t] = typeState{
			subs:  map[string]bool{},
			acked: map[string]*Resource{},
			maybe: map[string]*Resource{},
			force: map[string]bool{},
			stuck: map[string]bool{},

			unsure: map[string]bool{},
		}
	}
	return s
}

// setDesired replaces the goal. In place of a commit that this node has refused
// the last good set stays, with the newest endpoints, until it is tried again.
func (s *session) setDesired(set *nodeSet) {
	if s.calm = s.renamed(set); s.calm {
		return
	}
	s.desired = set
	if good := s.memory.goodInstead(set.commit); good != nil {
		set = rollback(good, set)
	}
	s.setTarget(set)
}

// renamed takes a goal that is what the client has in full, under the name of another
// commit: most commits leave most proxies alone.
func (s *session) renamed(set *nodeSet) bool {
	if !s.done || s.target != s.desired || s.target.content != set.content || len(s.retained) > 0 || s.memory.goodInstead(set.commit) != nil {
		return false
	}
	for t := range s.types {
		if len(s.types[t].stuck) > 0 {
			return false // it is asked for again
		}
	}
	s.desired, s.target = set, set
	s.confirmed()
	return true
}

// reconsider tries again what was refused, when its time has come.
func (s *session) reconsider(now time.Time) {
	var pardons int
	if pardons, s.retryAt = s.memory.pardon(now); pardons != s.pardons {
		s.pardons = pardons
		s.setDesired(s.desired)
	}
}

func (s *session) setTarget(set *nodeSet) {
	kept := map[Key]*Resource{}
	if s.target != nil {
		s.eachHeld(func(r *Resource) { s.retain(r, set, kept) })
	}
	s.target, s.retained = set, kept
	for t := range s.types {
		clear(s.types[t].stuck)
		s.recognise(Type(t))
	}
}

// recognise learns what a client holds that it reported before this server had
// it: its version says that it is the same.
func (s *session) recognise(t Type) {
	for name, held := range s.types[t].acked {
		if want := s.target.get(Key{t, name}); held != nil && held.opaque && want != nil && want.Version == held.Version {
			s.types[t].acked[name] = want
		}
	}
}

// retain keeps what a resource in the client's hands refers to and the new
// target has no more: it is served until its user is gone.
func (s *session) retain(r *Resource, next *nodeSet, kept map[Key]*Resource) {
	for _, k := range r.Needs {
		if next.get(k) != nil || kept[k] != nil {
			continue
		}
		old := s.target.get(k)
		if old == nil {
			old = s.retained[k]
		}
		if old != nil {
			kept[k] = old
			s.retain(old, next, kept)
		}
	}
}

// eachHeld visits everything that the client may be using: confirmed, in
// flight, or refused in part.
func (s *session) eachHeld(visit func(*Resource)) {
	for t := range s.types {
		ts := &s.types[t]
		groups := []map[string]*Resource{ts.acked, ts.maybe}
		if ts.flight != nil {
			groups = append(groups, ts.flight.items)
		}
		for _, g := range groups {
			for _, r := range g {
				if r != nil {
					visit(r)
				}
			}
		}
	}
}

// answer takes an ACK or a NACK of the response in flight. A
// nonce that is not in flight confirms nothing.
func (s *session) answer(now time.Time, t Type, nonce string, nack bool, message string) bool {
	ts := &s.types[t]
	f := ts.flight
	if f == nil || nonce != f.nonce {
		return false
	}
	ts.flight, ts.lastNonce = nil, nonce
	a := &Answer{Nonce: f.nonce, Version: f.version, Commit: f.commit, At: now}
	if nack {
		a.Message = message
		a.Names = s.refuse(now, t, f, message)
		ts.lastNACK = a
		return true
	}
	ts.lastACK = a
	for name, r := range f.items {
		ts.confirm(name, r)
	}
	return true
}

func (ts *typeState) confirm(name string, r *Resource) {
	delete(ts.maybe, name)
	delete(ts.unsure, name)
	switch {
	case r != nil:
		ts.acked[name] = r
	case ts.subs[name]:
		ts.acked[name] = nil
	default:
		delete(ts.acked, name)
	}
}

// refuse books a NACK: what was refused is not sent again for a while, and the
// rollout of its commit to this node ends where a last good set exists to return
// to.
func (s *session) refuse(now time.Time, t Type, f *flight, message string) []string {
	ts := &s.types[t]
	names := suspects(f.items, message)
	rej := &rejection{typ: t, pairs: map[string]string{}, good: map[string]*Resource{}}
	for _, n := range names {
		if r := f.items[n]; r != nil {
			rej.pairs[n] = r.Version
			if old := ts.acked[n]; old != nil && old.Version != r.Version {
				rej.good[n] = old
			}
		}
	}
	for n, r := range f.items {
		ts.doubt(n, r, len(f.items) > 1)
	}
	if s.target != nil && f.commit != s.target.commit {
		clear(ts.stuck) // it was another goal's removal that was refused
	}
	s.memory.reject(rej)
	s.memory.backOff(now)
	if t == EDS || t == SDS || s.target == nil || f.commit != s.target.commit {
		return names
	}
	if good := s.memory.halt(f.commit); good != nil && s.desired != nil {
		s.setTarget(rollback(good, s.desired))
	}
	return names
}

// doubt books one item of a refused response. In company it may have been
// applied all the same, and only a new answer makes sure of what is held.
func (ts *typeState) doubt(name string, r *Resource, company bool) {
	held := ts.acked[name]
	switch {
	case r == nil && (held != nil || ts.maybe[name] != nil):
		ts.stuck[name], ts.unsure[name] = true, true
	case r == nil:
		ts.confirm(name, nil)
	default:
		if held == nil || held.Version != r.Version {
			ts.maybe[name] = r
		}
		if company {
			ts.force[name], ts.unsure[name] = true, true
		}
	}
}

// subscribe books names of a delta request.
func (s *session) subscribe(t Type, names []string, initial map[string]string) error {
	ts := &s.types[t]
	first := !ts.seen
	ts.seen = true
	if first {
		if len(names) == 0 && (t == CDS || t == LDS) {
			ts.wild = true // the old form of a wildcard subscription
		}
		for name, version := range initial {
			ts.acked[name] = s.reported(Key{t, name}, version)
		}
	}
	for _, n := range names {
		if n == wildcard {
			ts.wild = true
			continue
		}
		ts.subs[n] = true
		if !first {
			ts.force[n] = true // subscribing again asks for the resource again
		}
	}
	ts.answered = ts.answered || len(ts.acked) > 0
	if len(ts.subs) > maxNames || len(ts.acked) > maxNames {
		return fmt.Errorf("more than %d %s names on one stream", maxNames, t)
	}
	return nil
}

// reported finds what a reconnecting client says it holds.
func (s *session) reported(k Key, version string) *Resource {
	for _, r := range []*Resource{s.target.get(k), s.desired.get(k), s.memory.goodResource(k)} {
		if r != nil && r.Version == version {
			return r
		}
	}
	return &Resource{Key: k, Version: version, opaque: true}
}

// unsubscribe books names that a delta request gives up.
func (s *session) unsubscribe(t Type, names []string) {
	ts := &s.types[t]
	for _, n := range names {
		if n == wildcard {
			ts.wild, ts.answered = false, false
			ts.forgetUnless(func(name string) bool { return ts.subs[name] })
			continue
		}
		delete(ts.subs, n)
		if ts.wild {
			ts.force[n] = true // the client must learn whether the wildcard covers it
			continue
		}
		ts.drop(n)
	}
}

// setNames replaces the subscription, as a state-of-the-world request does.
func (s *session) setNames(t Type, names []string) error {
	ts := &s.types[t]
	if len(names) > maxNames {
		return fmt.Errorf("more than %d %s names on one stream", maxNames, t)
	}
	ts.explicit = ts.explicit || len(names) > 0
	wild := !ts.explicit && (t == CDS || t == LDS)
	ts.seen = true
	subs := make(map[string]bool, len(names))
	for _, n := range names {
		if n == wildcard {
			wild = true
			continue
		}
		subs[n] = true
	}
	ts.subs, ts.wild = subs, wild
	ts.answered = ts.answered && wild
	if !wild {
		ts.forgetUnless(func(name string) bool { return subs[name] })
	}
	return nil
}

func (ts *typeState) forgetUnless(keep func(string) bool) {
	for _, m := range []map[string]*Resource{ts.acked, ts.maybe} {
		for n := range m {
			if !keep(n) {
				ts.drop(n)
			}
		}
	}
	if ts.flight != nil {
		for n := range ts.flight.items {
			if !keep(n) {
				ts.drop(n)
			}
		}
	}
}

// drop forgets a name: the client that gives it up drops the resource itself.
func (ts *typeState) drop(name string) {
	for _, m := range []map[string]bool{ts.force, ts.unsure} {
		delete(m, name)
	}
	delete(ts.acked, name)
	delete(ts.maybe, name)
	if ts.flight != nil {
		delete(ts.flight.items, name)
	}
}

func (s *session) nextNonce() string {
	s.nonces++
	return strconv.FormatUint(s.nonces, 10)
}

const (
	wildcard = "*"
	// maxNames bounds what one stream can make the server remember per type.
	maxNames = 100_000
)
