package endpoint

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/meshc/meshc/dataplane/snapshot"
)

type loads []int

func (l loads) Active(i int) int { return l[i] }

func endpoints(healthy string, weights ...uint32) (eps []snapshot.Endpoint) {
	for i, w := range weights {
		eps = append(eps, snapshot.Endpoint{Weight: w, Healthy: healthy[i] == '+'})
	}
	return eps
}

func draws() func() uint64 { return rand.NewPCG(1, 2).Uint64 }

// newPicker picks among eps by policy, with every default.
func newPicker(policy snapshot.LBPolicy, eps []snapshot.Endpoint, start uint64) *Picker {
	return New(&snapshot.Cluster{LB: policy, Endpoints: eps}, nil, 0, start, nil)
}

func TestRoundRobinInOrder(t *testing.T) {
	p := newPicker(snapshot.RoundRobin, endpoints("+-++", 1, 1, 1, 1), 1)
	var got []int
	for range 6 {
		got = append(got, p.Pick(&Ask{Draw: draws()}))
	}
	if fmt.Sprint(got) != "[2 3 0 2 3 0]" {
		t.Error(got)
	}
}

func TestWeightedRoundRobinIsSmooth(t *testing.T) {
	p := newPicker(snapshot.RoundRobin, endpoints("+++", 5, 1, 1), 0)
	var got []int
	for range 7 {
		got = append(got, p.Pick(&Ask{Draw: draws()}))
	}
	if fmt.Sprint(got) != "[0 0 1 0 2 0 0]" {
		t.Error(got)
	}
}

func TestPanicThreshold(t *testing.T) {
	for healthy, want := range map[string]bool{"----": true, "+---": true, "++--": false, "+++-": false} {
		p := newPicker(snapshot.Random, endpoints(healthy, 1, 1, 1, 1), 0)
		draw, seen := draws(), map[int]bool{}
		for range 200 {
			seen[p.Pick(&Ask{Draw: draw})] = true
			if p.Panic() != want {
				t.Errorf("%s: panic %v, want %v", healthy, p.Panic(), want)
			}
		}
		for i, c := range healthy {
			if seen[i] != (want || c == '+') {
				t.Errorf("%s: endpoint %d picked: %v", healthy, i, seen[i])
			}
		}
	}
}

func TestNoEndpoints(t *testing.T) {
	if i := newPicker(snapshot.RoundRobin, nil, 7).Pick(&Ask{Draw: draws()}); i != -1 {
		t.Error(i)
	}
}

func TestSharesFollowWeights(t *testing.T) {
	for policy, shares := range map[snapshot.LBPolicy][]int{
		snapshot.RoundRobin: {10_000, 30_000, 60_000}, snapshot.Random: {33_333, 33_333, 33_333}, // Envoy's random is blind to weights
		snapshot.LeastRequest: {10_000, 30_000, 60_000}, snapshot.RingHash: {10_000, 30_000, 60_000}, snapshot.Maglev: {10_000, 30_000, 60_000},
	} {
		c := &snapshot.Cluster{LB: policy, Endpoints: endpoints("+++", 10, 30, 60), Balance: snapshot.Balance{RingMin: 1 << 20}}
		for i := range c.Endpoints {
			c.Endpoints[i].Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80)
		}
		p := New(c, nil, 0, 0, nil)
		draw, hits := draws(), [3]int{}
		for range 100_000 {
			hits[p.Pick(&Ask{Draw: draw, Hash: draw(), Load: loads{0, 0, 0}})]++
		}
		for i, want := range shares {
			if d := hits[i] - want; d < -800 || d > 800 {
				t.Errorf("policy %d endpoint %d: %d picks, want about %d", policy, i, hits[i], want)
			}
		}
	}
}

func TestLeastRequestAvoidsTheBusy(t *testing.T) {
	p := newPicker(snapshot.LeastRequest, endpoints("+++", 1, 1, 1), 0)
	draw, hits := draws(), [3]int{}
	for range 9000 {
		hits[p.Pick(&Ask{Draw: draw, Load: loads{100, 0, 100}})]++
	}
	// The idle one is in 5 of 9 pairs; the others share the rest.
	if hits[1] < 4700 || hits[1] > 5300 {
		t.Error(hits)
	}
	p = newPicker(snapshot.LeastRequest, endpoints("++", 1, 9), 0)
	hits = [3]int{}
	for range 9000 {
		hits[p.Pick(&Ask{Draw: draw, Load: loads{0, 5}})]++
	}
	// Weights are 1/1 and 9/6.
	if hits[1] < 5390 || hits[1] > 5410 {
		t.Errorf("picked %v, want 2 to 3", hits)
	}
}
