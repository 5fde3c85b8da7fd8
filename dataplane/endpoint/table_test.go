package endpoint

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

func hashCluster(lb snapshot.LBPolicy, n int, b snapshot.Balance) *snapshot.Cluster {
	c := &snapshot.Cluster{LB: lb, Balance: b}
	for i := range n {
		c.Endpoints = append(c.Endpoints, snapshot.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 80), Weight: 1, Healthy: true})
	}
	return c
}

func all(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

// With an endpoint less, few keys move but its own: the size of a ring follows the
// number of endpoints.
func TestTablesAreStable(t *testing.T) {
	for lb, most := range map[snapshot.LBPolicy]float64{snapshot.RingHash: 0.05, snapshot.Maglev: 0.05} {
		c := hashCluster(lb, 20, snapshot.Balance{})
		before, after := NewTable(c, all(20)), NewTable(c, append(all(7), all(20)[8:]...))
		moved, kept := 0, 0
		draw := rand.New(rand.NewPCG(3, 4))
		for range 20_000 {
			h := draw.Uint64()
			was, is := before.Lookup(h, 0), after.Lookup(h, 0)
			switch {
			case is == 7:
				t.Fatal("an endpoint that is not usable was chosen")
			case was == 7:
			case was != is:
				moved++
			default:
				kept++
			}
		}
		if part := float64(moved) / float64(moved+kept); part > most {
			t.Errorf("policy %d: %.3f of the keys of others moved", lb, part)
		}
	}
}

func TestAttemptsLeadElsewhere(t *testing.T) {
	for _, lb := range []snapshot.LBPolicy{snapshot.RingHash, snapshot.Maglev} {
		table := NewTable(hashCluster(lb, 5, snapshot.Balance{}), all(5))
		draw := rand.New(rand.NewPCG(5, 6))
		for range 200 {
			h, seen := draw.Uint64(), map[int]bool{}
			for attempt := range 200 {
				seen[table.Lookup(h, attempt)] = true
			}
			if len(seen) != 5 {
				t.Errorf("policy %d: 200 attempts found %d of 5", lb, len(seen))
			}
		}
	}
}

func TestRingEnds(t *testing.T) {
	r := &ring{hashes: []uint64{10, 20, 30}, hosts: []int{1, 2, 3}}
	for hash, want := range map[uint64]int{0: 1, 10: 1, 11: 2, 20: 2, 30: 3, 31: 1, 1<<64 - 1: 1} {
		if got := r.Lookup(hash, 0); got != want {
			t.Errorf("%d leads to %d, want %d", hash, got, want)
		}
	}
}

// The size of a ring is Envoy's: the least weight gets a whole number of places.
func TestRingSizes(t *testing.T) {
	for _, c := range []struct {
		n           int
		least, most uint64
		want        int
	}{{3, 10, 100, 12}, {3, 0, 0, 1026}, {4, 1, 6, 4}, {4, 6, 6, 6}, {7, 1024, 5, 5}} {
		r := NewTable(hashCluster(snapshot.RingHash, c.n, snapshot.Balance{RingMin: c.least, RingMax: c.most}), all(c.n)).(*ring)
		if len(r.hashes) != c.want {
			t.Errorf("%+v: %d places", c, len(r.hashes))
		}
	}
}

// known is a Health of a test.
type known struct{ since []time.Duration }

func (k known) Well(int) bool             { return true }
func (k known) Pending(int) bool          { return false }
func (k known) Since(i int) time.Duration { return k.since[i] }

func TestSlowStart(t *testing.T) {
	for _, lb := range []snapshot.LBPolicy{snapshot.RoundRobin, snapshot.LeastRequest} {
		for _, c := range []struct {
			aggression, least float64
			after             time.Duration
			want              float64 // share of the endpoint that is new, of one full
		}{
			{1, 10, 50 * time.Second, 0.5}, {1, 10, time.Second, 0.1}, {2, 10, 25 * time.Second, 0.5}, {0.5, 1, 50 * time.Second, 0.25}, {1, 10, 100 * time.Second, 1},
		} {
			cl := hashCluster(lb, 3, snapshot.Balance{SlowStart: &snapshot.SlowStart{Window: 100 * time.Second, Aggression: c.aggression, MinPercent: c.least}})
			health := known{[]time.Duration{0, 0, 1000 * time.Second}}
			now := health.since[2] + c.after
			p := New(cl, health, now-time.Millisecond, 0, nil)
			hits, draw := [3]int{}, draws()
			const n = 30_000
			for range n {
				hits[p.Pick(&Ask{Draw: draw, Load: loads{0, 0, 0}, Now: now})]++
			}
			want := c.want / (2 + c.want) * n
			if got := float64(hits[2]); got < 0.95*want || got > 1.05*want {
				t.Errorf("policy %d, %+v: %v, want about %.0f for the new one", lb, c, hits, want)
			}
			if late := now + time.Hour; p.Pick(&Ask{Draw: draw, Load: loads{0, 0, 0}, Now: late}) < 0 || p.levels[0].groups[0].edf != nil {
				t.Errorf("policy %d: the schedule stays", lb)
			}
		}
	}
}

func TestPicksDoNotAllocate(t *testing.T) {
	for lb := snapshot.RoundRobin; lb <= snapshot.Maglev; lb++ {
		c := hashCluster(lb, 8, snapshot.Balance{SlowStart: &snapshot.SlowStart{Window: time.Hour, Aggression: 1.5, MinPercent: 10}})
		p := New(c, known{make([]time.Duration, 8)}, 0, 0, nil)
		a := &Ask{Draw: draws(), Load: loads(make([]int, 8)), Now: time.Second}
		if n := testing.AllocsPerRun(100, func() { a.Hash++; p.Pick(a) }); n != 0 {
			t.Error(fmt.Sprint("policy ", lb, ": ", n, " allocations"))
		}
	}
}
