package kube

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// unseenGrace is how long the watch of pods may be behind that of slices before an
// endpoint whose pod was not seen is a fault.
const unseenGrace = 10 * time.Second

// memory is what was behind Services when all of it could be told. A watch of pods
// that is behind, or fails, is no evidence that nothing is there: without the pod
// nobody knows of which version an endpoint is, and what was there before stays. It
// is safe for concurrent use; nil remembers nothing.
type memory struct {
	wake func() // when a fault is due

	mu    sync.Mutex
	whole map[model.Ref][]*instance            // the last picture without an unseen pod
	since map[model.Ref]map[string]*time.Timer // unseen pods by name; the timers of faults
	due   map[model.Ref]map[string]bool        // those whose grace is over
}

func newMemory(wake func()) *memory {
	return &memory{wake: wake, whole: map[model.Ref][]*instance{}, since: map[model.Ref]map[string]*time.Timer{}, due: map[model.Ref]map[string]bool{}}
}

// recall takes what is behind a Service now and the ready endpoints whose pods were
// not seen, and gives what was behind it before, and which of those pods have been
// missing for longer than the grace.
func (m *memory) recall(ref model.Ref, now []*instance, unseen []string) (before []*instance, late []string) {
	if m == nil {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, timer := range m.since[ref] {
		if !slices.Contains(unseen, name) {
			timer.Stop()
			delete(m.since[ref], name)
			delete(m.due[ref], name)
		}
	}
	if len(unseen) == 0 {
		delete(m.since, ref)
		delete(m.due, ref)
		m.whole[ref] = now
		return nil, nil
	}
	if m.since[ref] == nil {
		m.since[ref], m.due[ref] = map[string]*time.Timer{}, map[string]bool{}
	}
	for _, name := range unseen {
		if m.since[ref][name] == nil {
			m.since[ref][name] = time.AfterFunc(unseenGrace, func() { m.overdue(ref, name) })
		}
		if m.due[ref][name] {
			late = append(late, name)
		}
	}
	return m.whole[ref], late
}

// known is a pod behind a Service as it was when all was seen.
func (m *memory) known(ref model.Ref, pod string) *pod {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.whole[ref], func(x *instance) bool { return x.pod.Name == pod }); i >= 0 {
		return m.whole[ref][i].pod
	}
	return nil
}

func (m *memory) overdue(ref model.Ref, name string) {
	m.mu.Lock()
	due := m.due[ref]
	if due != nil && m.since[ref][name] != nil {
		due[name] = true
	}
	m.mu.Unlock()
	if due != nil {
		m.wake()
	}
}

// find gives the pod of an endpoint; nil where it was not seen. While the watch of
// pods fails, a pod that was seen before is as it was.
func (p *placement) find(ref model.Ref, s *slice, e *endpoint) *pod {
	found := p.state.pod(s.Namespace, e.pod)
	if found == nil && p.state.failing("pods") {
		found = p.memory.known(ref, e.pod)
	}
	if found == nil && (e.ready || e.serving) && !slices.Contains(p.unseen[ref], e.pod) {
		p.unseen[ref] = append(p.unseen[ref], e.pod)
	}
	return found
}

// unempty gives what is behind a Service: what was there before where endpoints are
// of pods that were not seen and no other is ready.
func (p *placement) unempty(ref model.Ref, now []*instance) []*instance {
	before, late := p.memory.recall(ref, now, p.unseen[ref])
	for _, name := range late {
		p.fault("Service %s: ready endpoint of a pod that was not seen: %s", ref, name)
	}
	var spare []*instance
	for _, x := range before {
		if x = p.asBefore(x); x != nil && !slices.ContainsFunc(now, func(y *instance) bool { return y.pod.Name == x.pod.Name }) {
			spare = append(spare, x)
		}
	}
	if len(spare) == 0 {
		return now
	}
	if slices.ContainsFunc(now, func(x *instance) bool { return x.ready && !x.terminating }) {
		p.spare[ref] = spare
		return now
	}
	all := append(slices.Clone(now), spare...)
	slices.SortFunc(all, func(a, b *instance) int { return cmp.Compare(a.pod.Name, b.pod.Name) })
	return all
}

// asBefore gives an instance that was ready, with what is known of its pod now; nil
// for one that was not, or that is known to end.
func (p *placement) asBefore(x *instance) *instance {
	if !x.ready || x.terminating {
		return nil
	}
	out := *x
	if now := p.state.pod(x.pod.Namespace, x.pod.Name); now != nil {
		if now.DeletionTimestamp != nil {
			return nil
		}
		out.pod = now
	}
	return &out
}
