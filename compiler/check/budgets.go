package check

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// budgets is how long a call of each node may surely take by what is written,
// 0 where nothing is, and the node that it waits for, or -1.
type budgets struct {
	*callGraph
	takes []time.Duration
	waits []int
	at    []diag.Range // the limit that says so
	tight []bool       // some callers give up before that
}

// newBudgets goes from what is called to its callers, once over every edge. Of
// several routes the one that takes least counts, because nothing says which
// one a caller uses; of several calls the longest, because nothing says whether
// they are made one after another.
func newBudgets(g *callGraph) *budgets {
	n := len(g.nodes)
	b := &budgets{callGraph: g, takes: make([]time.Duration, n), waits: make([]int, n), at: make([]diag.Range, n), tight: make([]bool, n)}
	for _, v := range g.order {
		b.node(v)
	}
	return b
}

// node judges one node, after those that it calls.
func (b *budgets) node(v int) {
	b.takes[v], b.waits[v], b.at[v] = 0, -1, diag.Range{}
	below, by := b.below(v)
	switch node := &b.nodes[v]; {
	case node.external != nil:
		if !node.external.TimeoutOrigin.IsZero() {
			b.takes[v], b.at[v] = node.external.Timeout, node.external.TimeoutOrigin
		}
	case node.service != nil:
		b.service(v, below, by)
		b.tight[v] = slices.ContainsFunc(node.service.Routes, func(r *model.Route) bool { return overBudget(r, below) })
	}
}

// overBudget says that callers of a route give up before what it calls is over.
func overBudget(r *model.Route, below time.Duration) bool {
	limit := patience(r)
	return !r.Answers() && limit > 0 && limit < below
}

// below is the longest time of the nodes that v calls.
func (b *budgets) below(v int) (longest time.Duration, by int) {
	by = -1
	for _, w := range b.nodes[v].calls {
		if !b.sameCycle(v, w) && b.takes[w] > longest {
			longest, by = b.takes[w], w
		}
	}
	return longest, by
}

func (b *budgets) service(v int, below time.Duration, by int) {
	first := true
	for _, r := range b.nodes[v].service.Routes {
		if r.Answers() {
			continue
		}
		t, at := writtenLimit(r)
		waits := -1
		if at.IsZero() {
			t, waits = min(below, unwrittenLimit(r)), by
		}
		if first || t < b.takes[v] {
			b.takes[v], b.waits[v], b.at[v] = t, waits, at
		}
		first = false
	}
}

// patience is how long the callers of a route wait; 0 means for ever.
func patience(r *model.Route) time.Duration {
	if r.MaxDuration > 0 && (r.Timeout == 0 || r.MaxDuration < r.Timeout) {
		return r.MaxDuration
	}
	return r.Timeout
}

// writtenLimit is how long a call by r may take by what the route writes, and
// where; a zero place says that it writes nothing.
func writtenLimit(r *model.Route) (time.Duration, diag.Range) {
	if r.TimeoutOrigin.IsZero() {
		return 0, diag.Range{}
	}
	limit, tries := patience(r), allTries(r)
	switch {
	case tries > 0 && (limit == 0 || tries < limit):
		return tries, r.TimeoutOrigin
	case limit > 0:
		return limit, r.TimeoutOrigin
	}
	return 0, diag.Range{}
}

// Envoy's pauses where none are written (RetryStateImpl: upstream.base_retry_backoff_ms
// is 25 ms, and the longest is ten times that).
const defaultBase, defaultLongest = 25 * time.Millisecond, 250 * time.Millisecond

// allTries bounds the tries of a route and the pauses between them; 0 means that
// nothing does. Where the end of a try is not tried again it ends the request, so
// all other tries have been shorter; a pause that the server asks for is bounded too.
func allTries(r *model.Route) time.Duration {
	re := r.Retry
	if re == nil || re.PerTry == 0 {
		return 0
	}
	pause, longest := defaultBase, defaultLongest
	if b := re.Backoff; b != nil {
		pause, longest = b.Base, b.Max
		if longest == 0 {
			longest = 10 * pause
		}
	}
	total := re.PerTry
	for range re.Attempts {
		bound := min(pause, longest)
		if l := re.RateLimited; l != nil {
			bound = max(bound, l.Max)
		}
		total += bound + re.PerTry
		pause = min(2*pause, longest)
	}
	return total
}

// unwrittenLimit bounds a route that waits for what is called below it.
func unwrittenLimit(r *model.Route) time.Duration {
	if p := patience(r); p > 0 {
		return p
	}
	return math.MaxInt64
}

// timeoutBudgets holds the time that callers wait for a route against the time
// that the calls below it may take.
func (c *overModel) timeoutBudgets() {
	g := c.graph()
	if g.budgets == nil {
		g.budgets = newBudgets(g)
	}
	b := g.budgets
	for v := range b.nodes {
		if !b.tight[v] {
			continue
		}
		below, by := b.below(v)
		for _, r := range b.nodes[v].service.Routes {
			if overBudget(r, below) {
				c.overBudget(b, v, by, r)
			}
		}
	}
}

// overBudget reports the route of v whose callers give up before the call of by
// is over: at its timeout, or where that is the default at the longer one.
func (c *overModel) overBudget(b *budgets, v, by int, r *model.Route) {
	end, path := by, []string{fmt.Sprintf("%s (%s)", b.nodes[v].name, patience(r))}
	for ; b.waits[end] >= 0; end = b.waits[end] {
		path = append(path, b.nodes[end].name)
	}
	path = append(path, fmt.Sprintf("%s (%s)", b.nodes[end].name, b.takes[end]))
	at, longer := r.TimeoutOrigin, b.at[end]
	if at.IsZero() {
		if len(b.nodes[v].callers) == 0 || c.has(diag.TimeoutBudget, longer) {
			return
		}
		at = longer
	}
	d := c.report(diag.TimeoutBudget, at, "callers of %s give up on route %q after %s, and what it calls may take %s: %s",
		b.nodes[v].what, r.Name, patience(r), b.takes[by], strings.Join(path, " → "))
	d.Help = fmt.Sprintf("let route %q take longer, or what it calls less", r.Name)
	if at != longer {
		d.Related = []diag.Related{{Range: longer, Message: fmt.Sprintf("%s may take %s", b.nodes[end].what, b.takes[end])}}
	}
}
