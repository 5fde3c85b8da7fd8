package endpoint

import (
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// group are endpoints among which the policy of the cluster chooses.
type group struct {
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
}

func newGroup(c *snapshot.Cluster, usable []int, health Health, now time.Duration, start uint64, table func(usable []int) Table) *group {
	if hashing(c.LB) {
		usable = reachable(c, usable)
	}
	g := &group{policy: c.LB, choices: max(int(c.Balance.Choices), defaultChoices), usable: usable}
	g.setWeights(c.Endpoints)
	if len(usable) > 0 {
		g.next = int(start % uint64(len(usable)))
	}
	switch {
	case len(usable) < 2:
	case hashing(c.LB):
		g.table = table(usable)
	case c.LB == snapshot.Random:
	default:
		g.slow = newSlowStart(c.Balance.SlowStart, usable, health)
		if g.slow.until > now || c.LB == snapshot.LeastRequest && g.sums != nil {
			g.edf = newEDF(len(usable), g.next)
		}
	}
	return g
}

// defaultChoices is Envoy's default of choice_count, and its least.
const defaultChoices = 2

func (g *group) setWeights(endpoints []snapshot.Endpoint) {
	equal, sum := true, uint64(0)
	for _, i := range g.usable {
		w := max(endpoints[i].Weight, 1)
		g.weights = append(g.weights, int64(w))
		sum += uint64(w)
		g.sums = append(g.sums, sum)
		equal = equal && int64(w) == g.weights[0]
	}
	if equal {
		g.sums = nil
		return
	}
	g.smooth = make([]int64, len(g.usable))
}

// pick gives the index of an endpoint, or -1 when there is none.
func (g *group) pick(a *Ask) int {
	switch {
	case len(g.usable) == 0:
		return -1
	case len(g.usable) == 1:
		return g.usable[0]
	case g.table != nil:
		return g.table.Lookup(a.Hash, a.Attempt)
	case g.policy == snapshot.Random:
		// Envoy's random policy does not look at weights.
		return g.usable[a.Draw()%uint64(len(g.usable))]
	case g.edf != nil:
		return g.usable[g.scheduled(a)]
	case g.policy == snapshot.LeastRequest:
		return g.usable[g.leastOf(a)]
	}
	return g.usable[g.roundRobin()]
}

// leastOf draws as many endpoints as were asked for, with repetition, and takes
// the first of those with the fewest requests.
func (g *group) leastOf(a *Ask) int {
	n := uint64(len(g.usable))
	best := int(a.Draw() % n)
	least := a.Load.Active(g.usable[best])
	for range g.choices - 1 {
		i := int(a.Draw() % n)
		if active := a.Load.Active(g.usable[i]); active < least {
			best, least = i, active
		}
	}
	return best
}

// scheduled takes the endpoint that is due first, and gives it its next turn by
// what it weighs now. When no endpoint starts slowly any more, and weights do
// not call for it, the schedule is dropped.
func (g *group) scheduled(a *Ask) int {
	i := g.edf.take(func(i int) float64 { return g.weight(i, a) })
	if g.slow.until != 0 && a.Now > g.slow.until {
		g.slow.until = 0
		if g.policy != snapshot.LeastRequest || g.sums == nil {
			g.edf = nil
		}
	}
	return i
}

// weight of the i-th usable endpoint now: less while it starts slowly, and by
// the requests it has under LeastRequest.
func (g *group) weight(i int, a *Ask) float64 {
	w := float64(g.weights[i])
	if g.policy == snapshot.LeastRequest {
		w /= float64(a.Load.Active(g.usable[i]) + 1)
	}
	return w * g.slow.factor(i, a.Now)
}

// roundRobin walks in order; with weights it is smooth: endpoints of weights
// 5, 1, 1 come as a a b a c a a, not as five a in a row.
func (g *group) roundRobin() int {
	if g.sums == nil {
		i := g.next
		if g.next++; g.next == len(g.usable) {
			g.next = 0
		}
		return i
	}
	best := 0
	for i := range g.smooth {
		g.smooth[i] += g.weights[i]
		if g.smooth[i] > g.smooth[best] {
			best = i
		}
	}
	g.smooth[best] -= int64(g.sums[len(g.sums)-1])
	return best
}
