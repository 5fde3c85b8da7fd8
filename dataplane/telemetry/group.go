package telemetry

import (
	"sync/atomic"
	"time"
)

// maxGroups bounds the sets of labels that are counted at once, of all kinds of
// groups: who calls with ever new names cannot fill the memory.
const maxGroups = 1000

// quiet is how long nothing must have happened for a group to be forgotten.
const quiet = time.Hour

// Group is the metrics of one set of labels that comes with traffic and goes when
// there has been none for an hour.
type Group struct {
	reg    *Registry
	labels []Label
	key    string
	idle   atomic.Bool
	kept   bool

	// Guarded by reg.mu.
	members []*series
	last    int64
	since   time.Time // of last
}

// Group gives the group of these labels, made at first use; nil when there are as
// many as there may be. What is taken from it must be let go of, and asked for
// again, once Idle says so.
func (r *Registry) Group(labels ...Label) *Group {
	key := renderLabels(labels)
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.groups[key]
	if g == nil {
		if len(r.groups) >= maxGroups {
			return nil
		}
		g = &Group{reg: r, labels: labels, key: key, last: -1}
		if r.groups == nil {
			r.groups = map[string]*Group{}
		}
		r.groups[key] = g
	}
	g.idle.Store(false)
	return g
}

// Keep has the group never be forgotten.
func (g *Group) Keep() *Group {
	g.reg.mu.Lock()
	defer g.reg.mu.Unlock()
	g.kept = true
	return g
}

// Idle says that the group is about to be forgotten, or is.
func (g *Group) Idle() bool { return g.idle.Load() }

// Counter is Registry.Counter, of the group.
func (g *Group) Counter(name string) Metric {
	g.reg.mu.Lock()
	defer g.reg.mu.Unlock()
	m := g.reg.counted(KindCounter, name, g.labels, g.key)
	g.join(m.s)
	return m
}

// Histogram is Registry.Histogram, of the group.
func (g *Group) Histogram(name string) Histogram {
	g.reg.mu.Lock()
	defer g.reg.mu.Unlock()
	h := g.reg.distributed(name, g.labels, g.key)
	g.join(h.s)
	return h
}

func (g *Group) join(s *series) {
	if s == &g.reg.nowhere {
		return // others count in it too
	}
	for _, m := range g.members {
		if m == s {
			return
		}
	}
	g.members = append(g.members, s)
}

// Sweep forgets the groups in which nothing has happened for an hour. One that has
// come to that is idle first, and gone with the next Sweep: who was counting in it
// while it became idle is seen then.
func (r *Registry) Sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, g := range r.groups {
		switch sum := g.sum(); {
		case g.kept:
		case sum != g.last:
			g.last, g.since = sum, now
			g.idle.Store(false)
		case g.idle.Load():
			r.forget(g)
			delete(r.groups, key)
		case now.Sub(g.since) >= quiet:
			g.idle.Store(true)
		}
	}
}

func (g *Group) sum() (n int64) {
	for _, s := range g.members {
		n += s.sum()
		for _, h := range s.hist {
			n += int64(h.count())
		}
	}
	return n
}

func (r *Registry) forget(g *Group) {
	for name, f := range r.families {
		for _, s := range g.members {
			if f.series[g.key] == s {
				delete(f.series, g.key)
			}
		}
		if len(f.series) == 0 {
			delete(r.families, name)
		}
	}
}
