// Package endpoint chooses one endpoint of a cluster for one request: a list of
// endpoints and a policy go in, an index comes out. It touches no socket and no
// clock.
package endpoint

import (
	"sort"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// PanicThreshold is Envoy's default: with less than this share of endpoints
// healthy (in percent), health is ignored, because sending everything to the
// few that are left would take those down too.
const PanicThreshold = 50

// Load tells how many requests are in flight at endpoint i.
type Load interface{ Active(i int) int }

// Picker picks among the usable endpoints of one cluster. It belongs to one
// event loop and is not safe for concurrent use.
type Picker struct {
	policy  snapshot.LBPolicy
	usable  []int    // indexes into the endpoints
	weights []int64  // of usable
	sums    []uint64 // running sum of weights, nil when all are equal
	next    int
	smooth  []int64 // current weights of smooth weighted round robin
	panic   bool
}

// New prepares the choice. start spreads the first picks of round robin over
// event loops and restarts.
func New(policy snapshot.LBPolicy, endpoints []snapshot.Endpoint, start uint64) *Picker {
	p := &Picker{policy: policy}
	for i, e := range endpoints {
		if e.Healthy {
			p.usable = append(p.usable, i)
		}
	}
	if len(p.usable)*100 < len(endpoints)*PanicThreshold {
		p.panic, p.usable = true, p.usable[:0]
		for i := range endpoints {
			p.usable = append(p.usable, i)
		}
	}
	p.setWeights(endpoints)
	if len(p.usable) > 0 {
		p.next = int(start % uint64(len(p.usable)))
	}
	return p
}

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

// Pick gives the index of an endpoint, or -1 when there is none. draw gives
// fresh random values.
func (p *Picker) Pick(draw func() uint64, load Load) int {
	switch {
	case len(p.usable) == 0:
		return -1
	case len(p.usable) == 1:
		return p.usable[0]
	case p.policy == snapshot.LeastRequest:
		return p.usable[p.leastOfTwo(draw, load)]
	case p.policy == snapshot.Random:
		return p.usable[p.random(draw())]
	}
	return p.usable[p.roundRobin()]
}

func (p *Picker) random(r uint64) int {
	if p.sums == nil {
		return int(r % uint64(len(p.usable)))
	}
	r %= p.sums[len(p.sums)-1]
	return sort.Search(len(p.sums), func(i int) bool { return r < p.sums[i] })
}

// leastOfTwo is the power of two choices; with weights the draw is weighted and
// the load counts relative to the weight.
func (p *Picker) leastOfTwo(draw func() uint64, load Load) int {
	a, b := p.random(draw()), p.random(draw())
	la := int64(load.Active(p.usable[a])+1) * p.weights[b]
	lb := int64(load.Active(p.usable[b])+1) * p.weights[a]
	if lb < la {
		return b
	}
	return a
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
