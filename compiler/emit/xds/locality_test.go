package xds

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/meshc/meshc/compiler/model"
)

func drawPlaces(r *rand.Rand) []model.Locality {
	var out []model.Locality
	for i := range 1 + r.IntN(6) {
		out = append(out, model.Locality{Region: fmt.Sprint("r", i%3), Zone: fmt.Sprint("z", i)})
	}
	return out
}

func drawCounts(r *rand.Rand, list []model.Locality, least int) map[model.Locality]int {
	out := map[model.Locality]int{}
	for _, at := range list {
		if n := least + r.IntN(9); n > 0 {
			out[at] = n
		}
	}
	return out
}

func endsIn(counts map[model.Locality]int) map[model.Locality][]*endpointv3.LbEndpoint {
	out := map[model.Locality][]*endpointv3.LbEndpoint{}
	for at, n := range counts {
		out[at] = make([]*endpointv3.LbEndpoint, n)
	}
	return out
}

// Whatever the numbers of callers and endpoints in each zone: all callers
// together load every endpoint alike, and a zone that can take its own callers'
// requests takes them all.
func TestZoneAwareLoadsEndpointsAlike(t *testing.T) {
	policy := &model.LocalityPolicy{Mode: model.LocalityZoneAware, MinCluster: 1}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		list := drawPlaces(r)
		callers, ends := drawCounts(r, list, 0), drawCounts(r, list, 1)
		calling, total, load := 0, 0, map[model.Locality]float64{}
		for _, n := range ends {
			total += n
		}
		for _, n := range callers {
			calling += n
		}
		for at, n := range callers {
			weights, sum := map[model.Locality]uint64{}, uint64(0)
			for _, p := range places(policy, at, callers, endsIn(ends)) {
				if p.priority == 0 {
					weights[p.at] = uint64(p.weight)
					sum += uint64(p.weight)
				}
			}
			if room := ends[at]*calling >= n*total; room != (len(weights) == 1 && weights[at] > 0) {
				t.Fatalf("seed %d: callers %v of %v, endpoints %v: from %s %v", seed, n, callers, ends, at, weights)
			}
			for to, w := range weights {
				load[to] += float64(n) * float64(w) / float64(sum)
			}
		}
		for at, n := range ends {
			want := float64(calling) * float64(n) / float64(total)
			if got := load[at]; calling > 0 && (got < want-1e-4 || got > want+1e-4) {
				t.Fatalf("seed %d: callers %v, endpoints %v: %s gets %v of %d, want %v", seed, callers, ends, at, got, calling, want)
			}
		}
	}
}

// Shares of places are those that were written, and each endpoint of one place
// weighs the same, whatever places its endpoints are in more closely.
func TestDistributedShares(t *testing.T) {
	zone := func(text string) model.Locality { return model.PlaceOf(text) }
	d := model.Distribution{From: zone("eu"), To: []model.PlaceShare{{Place: zone("eu"), BasisPoints: 3000}, {Place: zone("eu/a"), BasisPoints: 6999}, {Place: zone("us"), BasisPoints: 1}}}
	p := &model.LocalityPolicy{Mode: model.LocalityDistribute, Distribute: []model.Distribution{d}}
	ends := map[model.Locality]int{zone("eu/a"): 2, zone("eu/a/x"): 1, zone("eu/b"): 1, zone("eu/c"): 3, zone("us/e"): 1, zone("ap"): 9, {}: 4}
	sum, each := 0.0, map[string]float64{}
	for _, p := range places(p, zone("eu/z"), nil, endsIn(ends)) {
		if p.priority != 0 {
			t.Errorf("%s has priority %d", p.at, p.priority)
		}
		sum += float64(p.weight)
		each[p.at.String()] = float64(p.weight) / float64(len(p.ends))
	}
	want := map[string]float64{"eu/a": 0.6999 / 3, "eu/a/x": 0.6999 / 3, "eu/b": 0.3 / 4, "eu/c": 0.3 / 4, "us/e": 0.0001}
	for at, w := range want {
		if got := each[at] / sum; got < w*0.999999 || got > w*1.000001 {
			t.Errorf("an endpoint in %s weighs %v, want %v", at, got, w)
		}
	}
	if len(each) != len(want) {
		t.Errorf("places %v, want those of %v", each, want)
	}
	if got := places(p, zone("us/z"), nil, endsIn(ends)); len(got) != len(ends) {
		t.Errorf("callers of no place in the list have %d places, want all", len(got))
	}
}

// An order of places has no gaps, never puts an endpoint before one of an
// earlier rung, and loses no endpoint unless the order was written.
func TestLadder(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 2))
		list := append(drawPlaces(r), model.Locality{})
		ends := drawCounts(r, list, 0)
		caller := list[r.IntN(len(list))]
		policy := &model.LocalityPolicy{Mode: model.LocalityFailover}
		written := r.IntN(2) == 0
		if written {
			policy.Failover = []model.Failover{{To: []model.Locality{{Region: "r1"}}}}
		}
		got := places(policy, caller, nil, endsIn(ends))
		if known := caller != (model.Locality{}); len(got) != len(ends) && (!known || !written) {
			t.Fatalf("seed %d: %d places of %d", seed, len(got), len(ends))
		}
		rung := func(at model.Locality) int {
			switch {
			case caller == model.Locality{}:
				return 0
			case at == caller:
				return 0
			case written:
				return 1
			case at.Region == caller.Region:
				return 1
			}
			return 2
		}
		var seen []uint32
		for i, p := range got {
			seen = append(seen, p.priority)
			if written && caller != (model.Locality{}) && p.at != caller && p.at.Region != "r1" {
				t.Fatalf("seed %d: %s is not named", seed, p.at)
			}
			for _, q := range got[:i] {
				if (rung(p.at) == rung(q.at)) != (p.priority == q.priority) || rung(p.at) < rung(q.at) {
					t.Fatalf("seed %d: from %s: %s is %d, %s is %d", seed, caller, q.at, q.priority, p.at, p.priority)
				}
			}
		}
		if seen = slices.Compact(seen); len(seen) > 0 && (seen[0] != 0 || int(seen[len(seen)-1]) != len(seen)-1) {
			t.Fatalf("seed %d: priorities %v", seed, seen)
		}
	}
}
