// Package endpoint chooses one endpoint of a cluster for one request: a list of
// endpoints and a policy go in, an index comes out. It touches no socket and no
// clock. The policies are Envoy's, down to which endpoint a hash leads to.
package endpoint

import (
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

// Picker picks among the usable endpoints of one cluster. It belongs to one
// event loop and is not safe for concurrent use.
type Picker struct {
	policy  snapshot.LBPolicy
	choices int
	usable  []int    // indexes into the endpoints
	weights []int64  // of usable
	sums    []uint64 // running sum of weights, nil when all are equal
	next    int
	smooth  []int64 // current weights of smooth weighted round robin
	table   Table
	edf     *edf
	slow    slowStart
	panic   bool
}

// New prepares the choice among the endpoints of c. start spreads the first
// picks of round robin over event loops and restarts. health may be nil: then
// only the configuration counts. table makes the table of the hashing policies;
// nil is NewTable.
func New(c *snapshot.Cluster, health Health, now time.Duration, start uint64, table func(usable []int) Table) *Picker {
	p := &Picker{policy: c.LB, choices: max(int(c.Balance.Choices), defaultChoices)}
	p.usable, p.panic = usable(c, health)
	p.setWeights(c.Endpoints)
	if len(p.usable) > 0 {
		p.next = int(start % uint64(len(p.usable)))
	}
	switch {
	case len(p.usable) < 2:
	case p.policy == snapshot.RingHash || p.policy == snapshot.Maglev:
		if table == nil {
			table = func(usable []int) Table { return NewTable(c, usable) }
		}
		p.table = table(p.usable)
	case p.policy == snapshot.Random:
	default:
		p.slow = newSlowStart(c.Balance.SlowStart, p.usable, health)
		if p.slow.until > now || p.policy == snapshot.LeastRequest && p.sums != nil {
			p.edf = newEDF(len(p.usable), p.next)
		}
	}
	return p
}

// defaultChoices is Envoy's default of choice_count, and its least.
const defaultChoices = 2

func (p *Picker) setWeights(endpoints []snapshot.Endpoint) {
	equal, sum := true, uint64(0)
	for _, i := range p.usable {
		w := max(endpoints[i].Weight, 1)
		p.weights = append(p.weights, int64(w))
		sum += uint64(w)
		p.sums = append(p.sums, sum)
		equal = equal && int64(w) == p.weights[0]
	}
	if equal {
		p.sums = nil
		return
	}
	p.smooth = make([]int64, len(p.usable))
}

// Panic reports whether health is being ignored.
func (p *Picker) Panic() bool { return p.panic }

// Hashes reports whether Ask.Hash decides.
func (p *Picker) Hashes() bool { return p.table != nil }

// Pick gives the index of an endpoint, or -1 when there is none.
func (p *Picker) Pick(a *Ask) int {
	switch {
	case len(p.usable) == 0:
		return -1
	case len(p.usable) == 1:
		return p.usable[0]
	case p.table != nil:
		return p.table.Lookup(a.Hash, a.Attempt)
	case p.policy == snapshot.Random:
		// Envoy's random policy does not look at weights.
		return p.usable[a.Draw()%uint64(len(p.usable))]
	case p.edf != nil:
		return p.usable[p.scheduled(a)]
	case p.policy == snapshot.LeastRequest:
		return p.usable[p.leastOf(a)]
	}
	return p.usable[p.roundRobin()]
}

// leastOf draws as many endpoints as were asked for, with repetition, and takes
// the first of those with the fewest requests.
func (p *Picker) leastOf(a *Ask) int {
	n := uint64(len(p.usable))
	best := int(a.Draw() % n)
	least := a.Load.Active(p.usable[best])
	for range p.choices - 1 {
		i := int(a.Draw() % n)
		if active := a.Load.Active(p.usable[i]); active < least {
			best, least = i, active
		}
	}
	return best
}

// scheduled takes the endpoint that is due first, and gives it its next turn by
// what it weighs now. When no endpoint starts slowly any more, and weights do
// not call for it, the schedule is dropped.
func (p *Picker) scheduled(a *Ask) int {
	i := p.edf.take(func(i int) float64 { return p.weight(i, a) })
	if p.slow.until != 0 && a.Now > p.slow.until {
		p.slow.until = 0
		if p.policy != snapshot.LeastRequest || p.sums == nil {
			p.edf = nil
		}
	}
	return i
}

// weight of the i-th usable endpoint now: less while it starts slowly, and by
// the requests it has under LeastRequest.
func (p *Picker) weight(i int, a *Ask) float64 {
	w := float64(p.weights[i])
	if p.policy == snapshot.LeastRequest {
		w /= float64(a.Load.Active(p.usable[i]) + 1)
	}
	return w * p.slow.factor(i, a.Now)
}

// roundRobin walks in order; with weights it is smooth: endpoints of weights
// 5, 1, 1 come as a a b a c a a, not as five a in a row.
func (p *Picker) roundRobin() int {
	if p.sums == nil {
		i := p.next
		if p.next++; p.next == len(p.usable) {
			p.next = 0
		}
		return i
	}
	best := 0
	for i := range p.smooth {
		p.smooth[i] += p.weights[i]
		if p.smooth[i] > p.smooth[best] {
			best = i
		}
	}
	p.smooth[best] -= int64(p.sums[len(p.sums)-1])
	return best
}
