package endpoint

import (
	"fmt"
	"math/rand/v2"
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

func TestRoundRobinInOrder(t *testing.T) {
	p := New(snapshot.RoundRobin, endpoints("+-++", 1, 1, 1, 1), 1)
	var got []int
	for range 6 {
		got = append(got, p.Pick(draws(), nil))
	}
	if fmt.Sprint(got) != "[2 3 0 2 3 0]" {
		t.Error(got)
	}
}

func TestWeightedRoundRobinIsSmooth(t *testing.T) {
	p := New(snapshot.RoundRobin, endpoints("+++", 5, 1, 1), 0)
	var got []int
	for range 7 {
		got = append(got, p.Pick(draws(), nil))
	}
	if fmt.Sprint(got) != "[0 0 1 0 2 0 0]" {
		t.Error(got)
	}
}

func TestPanicThreshold(t *testing.T) {
	for healthy, want := range map[string]bool{"----": true, "+---": true, "++--": false, "+++-": false} {
		p := New(snapshot.Random, endpoints(healthy, 1, 1, 1, 1), 0)
		if p.Panic() != want {
			t.Errorf("%s: panic %v, want %v", healthy, p.Panic(), want)
		}
		draw, seen := draws(), map[int]bool{}
		for range 200 {
			seen[p.Pick(draw, nil)] = true
		}
		for i, c := range healthy {
			if seen[i] != (want || c == '+') {
				t.Errorf("%s: endpoint %d picked: %v", healthy, i, seen[i])
			}
		}
	}
}

func TestNoEndpoints(t *testing.T) {
	if i := New(snapshot.RoundRobin, nil, 7).Pick(draws(), nil); i != -1 {
		t.Error(i)
	}
}

func TestSharesFollowWeights(t *testing.T) {
	for _, policy := range []snapshot.LBPolicy{snapshot.RoundRobin, snapshot.Random} {
		p := New(policy, endpoints("+++", 10, 30, 60), 0)
		draw, hits := draws(), [3]int{}
		for range 100_000 {
			hits[p.Pick(draw, nil)]++
		}
		for i, want := range []int{10_000, 30_000, 60_000} {
			if d := hits[i] - want; d < -800 || d > 800 {
				t.Errorf("policy %d endpoint %d: %d picks, want about %d", policy, i, hits[i], want)
			}
		}
	}
}

func TestLeastRequestAvoidsTheBusy(t *testing.T) {
	p := New(snapshot.LeastRequest, endpoints("+++", 1, 1, 1), 0)
	draw, hits := draws(), [3]int{}
	for range 9000 {
		hits[p.Pick(draw, loads{100, 0, 100})]++
	}
	// The idle one is in 5 of 9 pairs; the others share the rest.
	if hits[1] < 4700 || hits[1] > 5300 {
		t.Error(hits)
	}
	p = New(snapshot.LeastRequest, endpoints("++", 1, 9), 0)
	hits = [3]int{}
	for range 9000 {
		hits[p.Pick(draw, loads{0, 5})]++
	}
	if hits[1] < 8500 {
		t.Errorf("6 of weight 9 are less than 1 of weight 1: %v", hits)
	}
}
