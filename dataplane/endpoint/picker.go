// Package endpoint chooses one endpoint of a cluster for one request: a list of
// endpoints and a policy go in, an index comes out. It touches no socket and no
// clock. The policies are Envoy's, down to which endpoint a hash leads to.
package endpoint

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// Load tells how many requests are in flight at endpoint i.
type Load interface{ Active(i int) int }

// Health is what is known of endpoints beyond their configuration. Values are
// of the moment when New is called.
type Health interface {
	// Well says that endpoint i may get requests, for all that was observed.
	Well(i int) bool
	// Pending says that endpoint i, which is not well, may be so for all that is
	// known: it does not count for panic.
	Pending(i int) bool
	// Since is when endpoint i came to be well, on the clock that Ask.Now is on.
	Since(i int) time.Duration
}

// Table leads from hashes to endpoints.
type Table interface {
	// Lookup gives the endpoint of a hash; each further attempt may lead elsewhere.
	Lookup(hash uint64, attempt int) int
}

// Ask is one request's wish.
type Ask struct {
	Draw    func() uint64 // fresh random values
	Load    Load
	Now     time.Duration
	Hash    uint64 // decides under RingHash and Maglev
	Attempt int    // how often this choice has been made for the request, from 0
}

// Picker picks among the usable endpoints of one cluster: a priority first, then
// a locality of it where localities are weighed, then an endpoint by the policy.
// It is made anew when endpoints or what is known of them change. It belongs to
// one event loop and is not safe for concurrent use.
type Picker struct {
	levels []level // those with a part of the load, in the order of priorities
	hashes bool
	panic  bool // of the last pick
}

// level is what one priority offers.
type level struct {
	upTo    int // of 100: draws below, and not below the level before, lead here
	panic   bool
	groups  []*group
	weights []float64 // of groups, where there are several
	turns   *edf      // nil: one group
}

// New prepares the choice among the endpoints of c. start spreads the first
// picks of round robin over event loops and restarts. health may be nil: then
// only the configuration counts. table makes the table of the hashing policies;
// nil is NewTable.
func New(c *snapshot.Cluster, health Health, now time.Duration, start uint64, table func(usable []int) Table) *Picker {
	if table == nil {
		table = func(usable []int) Table { return NewTable(c, usable) }
	}
	tiers := tiersOf(c, health)
	parts, panics := spread(tiers, overprovisioning(c), c.Balance.Panic)
	p, upTo := &Picker{}, 0
	for k, t := range tiers {
		if parts[k] == 0 {
			continue
		}
		upTo += parts[k]
		l := level{upTo: upTo, panic: panics[k]}
		l.setGroups(c, t, func(usable []int) *group { return newGroup(c, usable, health, now, start, table) })
		l.stagger(start)
		p.levels = append(p.levels, l)
	}
	if hashing(c.LB) {
		p.hashes = len(p.levels) > 1 || slices.ContainsFunc(p.levels, func(l level) bool { return l.groups[0].table != nil })
	}
	return p
}

func hashing(lb snapshot.LBPolicy) bool { return lb == snapshot.RingHash || lb == snapshot.Maglev }

// setGroups makes one group of all the level's endpoints, or one of each
// locality. In panic localities do not count, as in Envoy, and the tables of
// hashing policies weigh them themselves.
func (l *level) setGroups(c *snapshot.Cluster, t *tier, group func(usable []int) *group) {
	list := t.healthy
	if l.panic {
		list = t.all
	}
	if c.Balance.LocalityWeighted && !l.panic && !hashing(c.LB) {
		for _, at := range t.places {
			if w := at.effective(overprovisioning(c)); w > 0 {
				l.groups, l.weights = append(l.groups, group(at.healthy)), append(l.weights, w)
			}
		}
	}
	if l.groups == nil {
		l.groups, l.weights = append(l.groups, group(list)), nil
	}
}

// stagger schedules the groups, each at a random point of its first turn: a
// group of a small weight would otherwise get nothing as long as pickers are
// made anew more often than its turn comes.
func (l *level) stagger(start uint64) {
	if len(l.groups) < 2 {
		return
	}
	draw, most := rand.New(rand.NewPCG(start, 0)), slices.Max(l.weights)
	l.turns = &edf{}
	for i := range l.weights {
		l.weights[i] /= most // so that the clock of the schedule moves slowly
		l.turns.heap = append(l.turns.heap, turn{at: (1 - draw.Float64()) / max(l.weights[i], leastWeight), order: uint64(i), i: i})
	}
	l.turns.order = uint64(len(l.groups))
	slices.SortFunc(l.turns.heap, func(a, b turn) int { return cmp.Compare(a.at, b.at) }) // what is sorted is a heap
}

// Panic reports whether the last pick ignored health.
func (p *Picker) Panic() bool { return p.panic }

// Hashes reports whether Ask.Hash decides.
func (p *Picker) Hashes() bool { return p.hashes }

// Pick gives the index of an endpoint, or -1 when there is none.
func (p *Picker) Pick(a *Ask) int {
	if len(p.levels) == 0 {
		return -1
	}
	l := &p.levels[0]
	if len(p.levels) > 1 {
		l = p.level(a)
	}
	p.panic = l.panic
	if l.turns == nil {
		return l.groups[0].pick(a)
	}
	return l.groups[l.turns.take(func(i int) float64 { return l.weights[i] })].pick(a)
}

// level is that which a draw of one in a hundred leads to
// (LoadBalancerBase::choosePriority).
func (p *Picker) level(a *Ask) *level {
	draw := a.Hash
	if !p.hashes {
		draw = a.Draw()
	}
	at := int(draw % 100)
	for i := range p.levels {
		if at < p.levels[i].upTo {
			return &p.levels[i]
		}
	}
	return &p.levels[len(p.levels)-1]
}
