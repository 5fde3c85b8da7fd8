package xds

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/meshc/meshc/compiler/model"
)

// placed are the endpoints of one place, and what they are to a caller.
type placed struct {
	at       model.Locality
	ends     []*endpointv3.LbEndpoint
	priority uint32 // 0 comes first
	weight   uint32 // among the places of its priority
}

// places orders and weighs places for a caller, by what p says; the result has
// no gaps between priorities, as Envoy and grpc-go ask for. Envoy's own
// zone-aware routing is not used: it needs the caller's cluster in the bootstrap,
// and this works from a static bootstrap and for grpc-go as well.
func places(p *model.LocalityPolicy, caller model.Locality, callers map[model.Locality]int, ends map[model.Locality][]*endpointv3.LbEndpoint) []placed {
	var all []placed
	for _, at := range slices.SortedFunc(maps.Keys(ends), model.Locality.Compare) {
		// By the number of endpoints: grpc-go, which spreads by the weight of places,
		// gives every endpoint the same share as Envoy does.
		all = append(all, placed{at: at, ends: ends[at], weight: uint32(len(ends[at]))})
	}
	if p == nil || caller == (model.Locality{}) {
		return all
	}
	switch p.Mode {
	case model.LocalityDistribute:
		return distributed(p.DistributionOf(caller), all)
	case model.LocalityZoneAware:
		return zoneAware(int(p.MinCluster), caller, callers, all)
	}
	return laddered(rungs(p.FailoverOf(caller), caller), all)
}

// rungs are the places in the order in which a caller asks them.
func rungs(f *model.Failover, caller model.Locality) []model.Locality {
	out := []model.Locality{caller.InZone()}
	if f == nil {
		return append(out, model.Locality{Region: caller.Region}, model.Locality{})
	}
	if f.From != (model.Locality{}) {
		out = append(out, f.From)
	}
	return append(out, f.To...)
}

// laddered gives each place the priority of the first rung that holds it, and
// leaves out those that none holds.
func laddered(rungs []model.Locality, all []placed) []placed {
	var out []placed
	for _, p := range all {
		rung := slices.IndexFunc(rungs, func(r model.Locality) bool { return r.Holds(p.at) })
		if rung >= 0 {
			p.priority = uint32(rung)
			out = append(out, p)
		}
	}
	return compacted(out)
}

// compacted sorts by priority and closes the gaps.
func compacted(all []placed) []placed {
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Compare(a.priority, b.priority) })
	next, last := -1, uint32(0)
	for i := range all {
		if i == 0 || all[i].priority != last {
			next, last = next+1, all[i].priority
		}
		all[i].priority = uint32(next)
	}
	return all
}

// shareUnit makes a basis point into a weight of places; all of them together
// stay far below 2^32.
const shareUnit = 100_000

// distributed weighs places by their shares, where several endpoints' places
// make up one, by the number of endpoints.
func distributed(d *model.Distribution, all []placed) []placed {
	if d == nil {
		return all
	}
	size := make([]int, len(d.To))
	for _, p := range all {
		if i := d.Share(p.at); i >= 0 {
			size[i] += len(p.ends)
		}
	}
	var out []placed
	for _, p := range all {
		if i := d.Share(p.at); i >= 0 {
			p.weight = portion(uint64(d.To[i].BasisPoints)*shareUnit, len(p.ends), size[i])
			out = append(out, p)
		}
	}
	return out
}

// portion is n of all parts of a weight, and at least 1: Envoy sends nothing to a
// place that weighs 0.
func portion(weight uint64, n, all int) uint32 {
	return uint32(max(1, weight*uint64(n)/uint64(all)))
}

// zoneAware keeps requests in the caller's zone as far as its endpoints have as
// large a part of all endpoints as the callers there of all callers, and gives
// what is left to zones with room: Envoy's formula
// (ZoneAwareLoadBalancerBase::calculateLocalityPercentages), in whole numbers.
// The zones that get something come first, together; the rest is failover's.
func zoneAware(least int, caller model.Locality, callers map[model.Locality]int, all []placed) []placed {
	here := caller.InZone()
	ends, total := map[model.Locality]int{}, 0
	for _, p := range all {
		ends[p.at.InZone()] += len(p.ends)
		total += len(p.ends)
	}
	if total < least || ends[here] == 0 {
		return all
	}
	shares := zoneShares(here, zoned(callers), ends, total)
	var out []placed
	for _, p := range all {
		share := shares[p.at.InZone()]
		switch {
		case share > 0:
			p.weight = portion(share, len(p.ends), ends[p.at.InZone()])
		case caller.Region == p.at.Region:
			p.priority = 1
		default:
			p.priority = 2
		}
		out = append(out, p)
	}
	return compacted(out)
}

// zoned counts by zone.
func zoned(callers map[model.Locality]int) map[model.Locality]int {
	out := map[model.Locality]int{}
	for at, n := range callers {
		out[at.InZone()] += n
	}
	return out
}

// zoneWhole is the weight of all zones together.
const zoneWhole = model.BasisPointsWhole * shareUnit

// zoneShares are the weights of zones; those that get nothing are left out. A
// part of a whole is compared by the product with the other whole.
func zoneShares(here model.Locality, callers, ends map[model.Locality]int, total int) map[model.Locality]uint64 {
	calling := 0
	for _, n := range callers {
		calling += n
	}
	room := func(zone model.Locality) int { return ends[zone]*calling - callers[zone]*total }
	if room(here) >= 0 {
		return map[model.Locality]uint64{here: zoneWhole}
	}
	kept := uint64(zoneWhole) * uint64(ends[here]) * uint64(calling) / (uint64(callers[here]) * uint64(total))
	out, free := map[model.Locality]uint64{here: kept}, 0
	for zone := range ends {
		free += max(0, room(zone))
	}
	for zone := range ends {
		if r := room(zone); r > 0 {
			out[zone] = max(1, (zoneWhole-kept)*uint64(r)/uint64(free))
		}
	}
	if free == 0 { // the room is in zones with callers and no endpoints
		out[here] = zoneWhole
	}
	return out
}

// setLocality has Envoy look at the weights of places. Without it only
// priorities count.
func setLocality(c *clusterv3.Cluster, p *model.LocalityPolicy) {
	if p == nil || p.Mode == model.LocalityFailover {
		return
	}
	if c.CommonLbConfig == nil {
		c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{}
	}
	c.CommonLbConfig.LocalityConfigSpecifier = &clusterv3.Cluster_CommonLbConfig_LocalityWeightedLbConfig_{
		LocalityWeightedLbConfig: &clusterv3.Cluster_CommonLbConfig_LocalityWeightedLbConfig{},
	}
}

// loadAssignment writes places in their order.
func loadAssignment(cluster string, all []placed) *endpointv3.ClusterLoadAssignment {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: cluster}
	for _, p := range all {
		out.Endpoints = append(out.Endpoints, &endpointv3.LocalityLbEndpoints{
			Locality:            localityProto(p.at),
			Priority:            p.priority,
			LoadBalancingWeight: uint32Value(p.weight),
			LbEndpoints:         p.ends,
		})
	}
	return out
}

func localityProto(l model.Locality) *corev3.Locality {
	return &corev3.Locality{Region: l.Region, Zone: l.Zone, SubZone: l.SubZone}
}

// fleet is who stands behind one name: a service and a gateway may share one.
type fleet struct {
	model.Ref
	gateway bool
}

func fleetOf(w *model.Workload) fleet { return fleet{w.Service, w.Role == model.RoleGateway} }

// standpoint says, for those who share what clients of a service have, from
// where w looks at it: "" where that makes no difference.
func (ix *index) standpoint(w *model.Workload, to model.Ref) string {
	s := ix.mesh.Service(to)
	if s == nil {
		return ""
	}
	out := ""
	for i := range s.Versions {
		t := s.Versions[i].Traffic
		if t == nil || t.Locality == nil {
			continue
		}
		out = w.Locality.String()
		if t.Locality.Mode == model.LocalityZoneAware {
			return out + " " + ix.crowd(w)
		}
	}
	return out
}

// crowd says how many workloads like w there are in each place.
func (ix *index) crowd(w *model.Workload) string {
	out := ""
	counts := ix.fleets[fleetOf(w)]
	for _, at := range slices.SortedFunc(maps.Keys(counts), model.Locality.Compare) {
		out += fmt.Sprintf("%s=%d,", at, counts[at])
	}
	return out
}
