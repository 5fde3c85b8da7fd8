package endpoint

import (
	"slices"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// PanicThreshold is Envoy's default: with less than this share of endpoints
// healthy (in percent), health is ignored, because sending everything to the
// few that are left would take those down too.
const PanicThreshold = 50

// DefaultOverprovisioning is Envoy's factor, in percent: a priority of which at
// least 100/140 is healthy carries all of its load, and a cluster that has one
// such priority is never in panic.
const DefaultOverprovisioning = 140

func overprovisioning(c *snapshot.Cluster) uint64 {
	if c.Overprovisioning == 0 {
		return DefaultOverprovisioning
	}
	return uint64(c.Overprovisioning)
}

// tier are the endpoints of one priority, as indexes.
type tier struct {
	priority uint32
	all      []int
	healthy  []int // may get requests
	counted  int   // of all, those of which it is known whether they may
	places   []*place
}

// tiersOf are the tiers of a cluster in the order of priorities. A priority that
// no endpoint has makes no difference to the others.
func tiersOf(c *snapshot.Cluster, health Health) []*tier {
	var tiers []*tier
	seats := map[seat]*place{}
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		k, found := slices.BinarySearchFunc(tiers, e.Priority, func(t *tier, p uint32) int { return int(t.priority) - int(p) })
		if !found {
			tiers = slices.Insert(tiers, k, &tier{priority: e.Priority})
		}
		t := tiers[k]
		healthy, counted := e.Healthy && (health == nil || health.Well(i)), health == nil || !health.Pending(i)
		t.add(i, healthy, counted)
		if c.Balance.LocalityWeighted {
			t.placeOf(e, seats).add(i, healthy, counted)
		}
	}
	return tiers
}

func (t *tier) add(i int, healthy, counted bool) {
	t.all = append(t.all, i)
	if healthy {
		t.healthy = append(t.healthy, i)
	}
	if counted {
		t.counted++
	}
}

// spread gives each tier its part of the load, in percent, and says which of them
// ignore health (LoadBalancerBase::recalculatePerPriorityState and
// recalculatePerPriorityPanic). Each takes what it is available for, up to what
// those before it have left; what rounding leaves is the first's. threshold is as
// in snapshot.Balance.
func spread(tiers []*tier, factor uint64, threshold int) (parts []int, panics []bool) {
	parts, panics = make([]int, len(tiers)), make([]bool, len(tiers))
	if len(tiers) == 0 {
		return parts, panics
	}
	if threshold == 0 {
		threshold = PanicThreshold
	}
	threshold = min(max(threshold, 0), 100)
	availability, total := make([]int, len(tiers)), 0
	for k, t := range tiers {
		if t.counted > 0 {
			availability[k] = int(min(100, factor*uint64(len(t.healthy))/uint64(t.counted)))
		}
		total = min(100, total+availability[k])
	}
	everywhere := total < 100
	for k, t := range tiers {
		panics[k] = total < 100 && t.below(threshold)
		everywhere = everywhere && panics[k]
	}
	switch {
	case everywhere:
		return bySize(tiers), panics
	case total == 0: // no tier is available for anything, and yet health counts
		parts[0] = 100
		return parts, panics
	}
	left, first := 100, -1
	for k, a := range availability {
		if first < 0 && a > 0 {
			first = k
		}
		parts[k] = min(left, a*100/total)
		left -= parts[k]
	}
	parts[first] += left
	return parts, panics
}

// below says that less than threshold percent of the endpoints are healthy.
func (t *tier) below(threshold int) bool {
	percent := 0.0
	if t.counted > 0 {
		percent = 100 * float64(len(t.healthy)) / float64(t.counted)
	}
	return percent < float64(threshold)
}

// bySize is the load when every tier ignores health: each gets as much as it has
// endpoints (recalculateLoadInTotalPanic).
func bySize(tiers []*tier) []int {
	sum, left, parts := 0, 100, make([]int, len(tiers))
	for _, t := range tiers {
		sum += len(t.all)
	}
	for k, t := range tiers {
		parts[k] = 100 * len(t.all) / sum
		left -= parts[k]
	}
	parts[0] += left
	return parts
}
