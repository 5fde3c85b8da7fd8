package endpoint

import "github.com/meshc/meshc/dataplane/snapshot"

// place are the endpoints of one locality in one tier.
type place struct {
	weight  uint32
	healthy []int
	counted int
}

// seat is a locality of one priority.
type seat struct {
	at       snapshot.Locality
	priority uint32
}

// placeOf is the place of e in the tier, a new one if e is its first.
func (t *tier) placeOf(e *snapshot.Endpoint, seats map[seat]*place) *place {
	at := seat{e.Locality, e.Priority}
	p := seats[at]
	if p == nil {
		p = &place{weight: e.LocalityWeight}
		seats[at] = p
		t.places = append(t.places, p)
	}
	return p
}

func (p *place) add(i int, healthy, counted bool) {
	if healthy {
		p.healthy = append(p.healthy, i)
	}
	if counted {
		p.counted++
	}
}

// effective is the place's weight, less when fewer of its endpoints are healthy
// than factor, in percent, makes up for (LocalityWrr::effectiveLocalityWeight).
func (p *place) effective(factor uint64) float64 {
	if p.counted == 0 {
		return 0
	}
	return float64(p.weight) * min(1, float64(factor)/100*float64(len(p.healthy))/float64(p.counted))
}

// reachable are those of list that a hashing policy may lead to: where localities
// are weighed, those that weigh nothing get nothing.
func reachable(c *snapshot.Cluster, list []int) []int {
	if !c.Balance.LocalityWeighted {
		return list
	}
	out := make([]int, 0, len(list))
	for _, i := range list {
		if c.Endpoints[i].LocalityWeight > 0 {
			out = append(out, i)
		}
	}
	return out
}

// shares are what those of list, all of one priority, are of the whole. Where
// localities are weighed, each has its part of it whatever is healthy, and its
// endpoints share that (normalizeLocalityWeights).
func shares(c *snapshot.Cluster, list []int) []float64 {
	out, of := make([]float64, len(list)), make(map[snapshot.Locality]float64)
	at := func(i int) (l snapshot.Locality) {
		if c.Balance.LocalityWeighted {
			l = c.Endpoints[i].Locality
		}
		return l
	}
	for _, i := range list {
		of[at(i)] += float64(max(c.Endpoints[i].Weight, 1))
	}
	whole := localityWeights(c, c.Endpoints[list[0]].Priority)
	for k, i := range list {
		out[k] = float64(max(c.Endpoints[i].Weight, 1)) / of[at(i)]
		if c.Balance.LocalityWeighted {
			out[k] *= float64(c.Endpoints[i].LocalityWeight) / whole
		}
	}
	return out
}

// localityWeights is the sum of the weights of all localities of a priority.
func localityWeights(c *snapshot.Cluster, priority uint32) float64 {
	sum, seen := 0.0, make(map[snapshot.Locality]bool)
	for i := range c.Endpoints {
		if e := &c.Endpoints[i]; e.Priority == priority && !seen[e.Locality] {
			seen[e.Locality] = true
			sum += float64(e.LocalityWeight)
		}
	}
	return sum
}
