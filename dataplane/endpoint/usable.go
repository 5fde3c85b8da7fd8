package endpoint

import "github.com/meshc/meshc/dataplane/snapshot"

// PanicThreshold is Envoy's default: with less than this share of endpoints
// healthy (in percent), health is ignored, because sending everything to the
// few that are left would take those down too.
const PanicThreshold = 50

// overprovisioning is Envoy's factor, in percent: a cluster of which at least
// 100/140 is healthy carries all of its load, and is never in panic.
const overprovisioning = 140

// usable lists the endpoints that may get requests, and says whether that is
// all of them for panic.
func usable(c *snapshot.Cluster, health Health) (list []int, panic bool) {
	counted := 0
	for i, e := range c.Endpoints {
		if e.Healthy && (health == nil || health.Well(i)) {
			list = append(list, i)
		}
		if health == nil || !health.Pending(i) {
			counted++
		}
	}
	if !inPanic(len(list), counted, c.Balance.Panic) {
		return list, false
	}
	list = list[:0]
	for i := range c.Endpoints {
		list = append(list, i)
	}
	return list, true
}

// inPanic is Envoy's recalculatePerPriorityPanic for one priority. threshold is
// as in snapshot.Balance.
func inPanic(healthy, total, threshold int) bool {
	if threshold == 0 {
		threshold = PanicThreshold
	}
	if threshold < 0 || total == 0 {
		return false
	}
	switch availability := min(100, overprovisioning*healthy/total); availability {
	case 0:
		return true
	case 100:
		return false
	}
	return 100*float64(healthy)/float64(total) < float64(threshold)
}
