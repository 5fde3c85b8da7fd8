package engine

import (
	"maps"
	"strings"
	"time"

	"github.com/meshc/meshc/dataplane/telemetry"
)

// tally is what one loop counts of a filter chain, by what its labels depend on. What
// the registry forgets is let go of when something new comes.
type tally[C interface{ idle() bool }] struct{ by map[between]C }

// grouped is of a group.
type grouped struct{ group *telemetry.Group }

func (g *grouped) idle() bool { return g.group.Idle() }

// of gives the counts of key, or, where there are too many, those of nobody, whose key
// it gives then.
func (t *tally[C]) of(w *worker, key between, labels func() []telemetry.Label, fresh func(*telemetry.Group, between) C) (between, C) {
	if c, ok := t.by[key]; ok && !c.idle() {
		return key, c
	}
	g := w.group(labels)
	if g == w.e.other {
		key = key.ofNobody()
		if c, ok := t.by[key]; ok {
			return key, c
		}
	}
	maps.DeleteFunc(t.by, func(_ between, c C) bool { return c.idle() })
	if t.by == nil {
		t.by = map[between]C{}
	}
	key.principal, key.flags = strings.Clone(key.principal), strings.Clone(key.flags)
	c := fresh(g, key)
	t.by[key] = c
	return key, c
}

// ofNobody is a key that no request or connection has.
func (k between) ofNobody() between {
	o := between{status: -1, grpc: noGRPC}
	if k.grpc != noGRPC {
		o.grpc = unknownGRPC
	}
	return o
}

// fullPause is how long a loop does not ask for new groups when there are too many.
const fullPause = time.Second

// group gives the group of these labels. When there are too many, what is new to the
// loop is counted together, as of nobody.
func (w *worker) group(labels func() []telemetry.Label) *telemetry.Group {
	if w.now < w.fullUntil {
		return w.e.other
	}
	if g := w.e.reg.Group(labels()...); g != nil {
		return g
	}
	w.fullUntil = w.now + int64(fullPause)
	return w.e.other
}
