package endpoint

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// tierOf has healthy of total endpoints.
func tierOf(healthy, total int) *tier {
	return &tier{all: make([]int, total), healthy: make([]int, healthy), counted: total}
}

// Panic is what Envoy decides: never with 100/140 well, always with nobody.
func TestInPanic(t *testing.T) {
	for _, c := range []struct {
		healthy, total, threshold int
		want                      bool
	}{
		{0, 4, 0, true}, {0, 4, -1, false}, {0, 100, 1, true}, {1, 200, 1, true}, {2, 4, 50, false},
		{1, 4, 50, true}, {8, 10, 100, false}, {7, 10, 100, true}, {5, 7, 100, false}, {1, 2, 51, true},
	} {
		parts, panics := spread([]*tier{tierOf(c.healthy, c.total)}, DefaultOverprovisioning, c.threshold)
		if panics[0] != c.want || parts[0] != 100 {
			t.Errorf("%+v: panic %v, %d %% of the load", c, panics[0], parts[0])
		}
	}
}

// The tables of Envoy's documentation: load by health of two and three priorities
// (priority levels), and by size when all of them are in panic (panic threshold).
func TestSpreadIsThatOfTheTables(t *testing.T) {
	for _, c := range []struct {
		healthy []int // of 100 each
		parts   []int
	}{
		{[]int{100, 100}, []int{100, 0}}, {[]int{72, 72}, []int{100, 0}}, {[]int{71, 71}, []int{99, 1}}, {[]int{50, 50}, []int{70, 30}},
		{[]int{25, 100}, []int{35, 65}}, {[]int{25, 25}, []int{50, 50}},
		{[]int{100, 100, 100}, []int{100, 0, 0}}, {[]int{72, 72, 100}, []int{100, 0, 0}}, {[]int{71, 71, 100}, []int{99, 1, 0}},
		{[]int{50, 50, 100}, []int{70, 30, 0}}, {[]int{25, 100, 100}, []int{35, 65, 0}}, {[]int{25, 25, 100}, []int{35, 35, 30}},
	} {
		var tiers []*tier
		for _, n := range c.healthy {
			tiers = append(tiers, tierOf(n, 100))
		}
		if parts, _ := spread(tiers, DefaultOverprovisioning, -1); !slices.Equal(parts, c.parts) {
			t.Errorf("%v %% healthy: %v, want %v", c.healthy, parts, c.parts)
		}
	}
	parts, panics := spread([]*tier{tierOf(5, 100), tierOf(1, 20), tierOf(0, 10)}, DefaultOverprovisioning, 0)
	if fmt.Sprint(parts, panics) != "[78 15 7] [true true true]" {
		t.Error(parts, panics)
	}
	// A factor that leaves nothing to any priority leads to the first.
	if parts, panics := spread([]*tier{tierOf(99, 100), tierOf(99, 100)}, 1, 0); fmt.Sprint(parts, panics) != "[100 0] [false false]" {
		t.Error(parts, panics)
	}
}

// drawn is a cluster of up to five priorities.
func drawn(r *rand.Rand) *snapshot.Cluster {
	c := &snapshot.Cluster{LB: snapshot.RoundRobin, Balance: snapshot.Balance{Panic: []int{0, -1, 1, 30, 50, 100}[r.IntN(6)]}, Overprovisioning: []uint32{0, 100, 140, 300}[r.IntN(4)]}
	c.Balance.LocalityWeighted = r.IntN(2) == 0
	for range 1 + r.IntN(40) {
		at := snapshot.Locality{Zone: fmt.Sprint("z", r.IntN(3))}
		e := snapshot.Endpoint{Weight: 1, Healthy: r.IntN(3) > 0, Priority: uint32(r.IntN(5)) * 3, Locality: at}
		e.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(len(c.Endpoints))}), 80)
		e.LocalityWeight = (e.Priority + uint32(at.Zone[1]-'0')) % 4
		c.Endpoints = append(c.Endpoints, e)
	}
	return c
}

// documented is the share of each endpoint as Envoy documents it (priority
// levels, panic threshold, locality weighted load balancing), each sentence
// for itself.
func documented(c *snapshot.Cluster) []float64 {
	factor, threshold := 1.4, 50.
	if c.Overprovisioning != 0 {
		factor = float64(c.Overprovisioning) / 100
	}
	if c.Balance.Panic != 0 {
		threshold = max(0, float64(c.Balance.Panic))
	}
	const most = 16
	var total, healthy [most]int
	for _, e := range c.Endpoints {
		total[e.Priority]++
		if e.Healthy {
			healthy[e.Priority]++
		}
	}
	var health [most]int
	sum := 0
	for p := range most {
		if total[p] > 0 {
			health[p] = min(100, int(factor*100+0.5)*healthy[p]/total[p])
		}
		sum += health[p]
	}
	normalized := min(sum, 100)
	panicking := func(p int) bool {
		return normalized < 100 && (total[p] == 0 && threshold > 0 || total[p] > 0 && 100*float64(healthy[p])/float64(total[p]) < threshold)
	}
	var load [most]int
	everywhere, given, first := true, 0, -1
	for p := range most {
		everywhere = everywhere && panicking(p)
	}
	for p := range most {
		switch {
		case everywhere:
			load[p] = 100 * total[p] / len(c.Endpoints)
		case normalized > 0:
			load[p] = min(100-given, health[p]*100/normalized)
		}
		if first < 0 && (everywhere && total[p] > 0 || !everywhere && health[p] > 0) {
			first = p
		}
		given += load[p]
	}
	if first >= 0 {
		load[first] += 100 - given
	}
	out := make([]float64, len(c.Endpoints))
	for i, e := range c.Endpoints {
		if panic := panicking(int(e.Priority)); panic || e.Healthy {
			out[i] = float64(load[e.Priority]) / 100 * within(c, i, panic, factor)
		}
	}
	return out
}

// within is the share of an endpoint in its priority.
func within(c *snapshot.Cluster, i int, panic bool, factor float64) float64 {
	type zone struct{ total, healthy, weight float64 }
	zones, all, healthy := map[string]*zone{}, 0., 0.
	for _, e := range c.Endpoints {
		if e.Priority != c.Endpoints[i].Priority {
			continue
		}
		if zones[e.Locality.Zone] == nil {
			zones[e.Locality.Zone] = &zone{weight: float64(e.LocalityWeight)}
		}
		z := zones[e.Locality.Zone]
		all++
		z.total++
		if e.Healthy {
			healthy++
			z.healthy++
		}
	}
	effective := func(z *zone) float64 { return z.weight * min(1, factor*z.healthy/z.total) }
	sum := 0.
	for _, z := range zones {
		sum += effective(z)
	}
	switch mine := zones[c.Endpoints[i].Locality.Zone]; {
	case panic:
		return 1 / all
	case !c.Balance.LocalityWeighted || sum == 0:
		return 1 / healthy
	default:
		return effective(mine) / sum / mine.healthy
	}
}

// Whatever is healthy: every endpoint gets the share that Envoy's documentation
// gives it.
func TestSharesAreTheDocumentedOnes(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 9))
		c := drawn(r)
		p, hits, none := New(c, nil, 0, seed, nil), make([]int, len(c.Endpoints)), 0
		next := uint64(0)
		a := &Ask{Draw: func() uint64 { next++; return next - 1 }} // of 100 draws each once: shares of priorities are exact
		const n = 10_000
		for range n {
			if i := p.Pick(a); i >= 0 {
				hits[i]++
			} else {
				none++
			}
		}
		sum := 0.
		for i, want := range documented(c) {
			sum += want
			if got := float64(hits[i]) / n; got < want-0.004 || got > want+0.004 {
				t.Fatalf("seed %d: endpoint %d gets %.4f, want %.4f\n%+v", seed, i, got, want, c)
			}
		}
		if (none == n) != (sum == 0) || none != 0 && none != n {
			t.Fatalf("seed %d: nobody for %d of %d requests, shares sum to %v\n%+v", seed, none, n, sum, c)
		}
	}
}

// Hashing leads to priorities by the hash, and to the endpoints of weighed
// localities by the weights of those, whatever is healthy in them.
func TestTablesWeighLocalities(t *testing.T) {
	for _, lb := range []snapshot.LBPolicy{snapshot.RingHash, snapshot.Maglev} {
		c := hashCluster(lb, 8, snapshot.Balance{LocalityWeighted: true, RingMin: 1 << 18})
		for i, weight := range []uint32{3, 3, 1, 1, 0, 0, 5, 5} {
			e := &c.Endpoints[i]
			e.Locality, e.LocalityWeight, e.Priority = snapshot.Locality{Zone: fmt.Sprint(i / 2)}, weight, uint32(i/6)
		}
		c.Endpoints[1].Healthy, c.Endpoints[2].Weight, c.Endpoints[7].Healthy = false, 3, false
		c.Balance.Panic = -1
		for i := range 4 { // of ten endpoints of the first priority five are healthy: it carries 70 %
			c.Endpoints = append(c.Endpoints, snapshot.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(i)}), 80), Weight: 1, Locality: snapshot.Locality{Zone: "sick"}, LocalityWeight: 4})
		}
		p, hits, draw := New(c, nil, 0, 0, nil), make([]float64, len(c.Endpoints)), draws()
		const n = 100_000
		for range n {
			hits[p.Pick(&Ask{Draw: draw, Hash: draw()})]++
		}
		// Of the localities of the first priority only those of weights 3 and 1 can be led to.
		for i, want := range []float64{0.7 * 3 / 4, 0, 0.7 / 4 * 3 / 4, 0.7 / 4 / 4, 0, 0, 0.3, 0, 0, 0, 0, 0} {
			if got := hits[i] / n; got < want-0.01 || got > want+0.01 {
				t.Errorf("policy %d: endpoint %d gets %.3f, want %.3f", lb, i, got, want)
			}
		}
		if !p.Hashes() {
			t.Errorf("policy %d: the hash does not decide", lb)
		}
	}
}

// A locality that weighs little gets its part even when pickers are made anew
// long before its turn comes.
func TestSmallLocalitiesAreNotForgotten(t *testing.T) {
	c := &snapshot.Cluster{Endpoints: endpoints("++", 1, 1), Balance: snapshot.Balance{LocalityWeighted: true}}
	c.Endpoints[0].LocalityWeight, c.Endpoints[1].LocalityWeight, c.Endpoints[1].Locality.Zone = 99, 1, "far"
	far, draw := 0, draws()
	const pickers, picks = 4000, 5
	for range pickers {
		p := New(c, nil, 0, draw(), nil)
		for range picks {
			far += p.Pick(&Ask{Draw: draw})
		}
	}
	if far < pickers*picks/100*7/10 || far > pickers*picks/100*13/10 {
		t.Errorf("%d of %d", far, pickers*picks)
	}
}

func TestPlacesDoNotAllocate(t *testing.T) {
	for lb := snapshot.RoundRobin; lb <= snapshot.Maglev; lb++ {
		c := drawn(rand.New(rand.NewPCG(3, 3)))
		c.LB, c.Balance.LocalityWeighted = lb, true
		p := New(c, nil, 0, 0, nil)
		if len(p.levels) < 2 {
			t.Fatal("one priority")
		}
		a := &Ask{Draw: draws(), Load: loads(make([]int, len(c.Endpoints)))}
		if n := testing.AllocsPerRun(1000, func() { a.Hash++; p.Pick(a) }); n != 0 {
			t.Error(fmt.Sprint("policy ", lb, ": ", n, " allocations"))
		}
	}
}
