package route

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/meshc/meshc/dataplane/message"
)

// version is where a key is led with a weight of percent for the second of two.
func version(key string, percent uint64) int {
	e := &Entry{Keyed: true, Total: 10_000, Clusters: []WeightedCluster{{Name: "v1", Weight: 10_000 - 100*percent}, {Name: "v2", Weight: 100 * percent}}}
	req := &message.Request{Fields: []message.Field{{Name: "x-user", Value: key}}}
	hash, ok := Hash([]HashKey{{From: HashHeader, Name: "x-user"}}, req, netip.Addr{}, nil)
	first, again := e.Pick(hash), e.Pick(hash)
	if !ok || first != again {
		panic("a key without one place")
	}
	if first.Name == "v2" {
		return 2
	}
	return 1
}

// TestKeysStayWithTheirVersion moves weight to the second version step by step:
// no key that is there goes back, and at each step the share of keys is the weight.
func TestKeysStayWithTheirVersion(t *testing.T) {
	const keys = 20_000
	before := make([]int, keys)
	for percent := uint64(0); percent <= 100; percent += 10 {
		second := 0
		for i := range before {
			v := version(fmt.Sprintf("user-%d", i), percent)
			if v < before[i] {
				t.Fatalf("at %d %% user-%d went back to v%d", percent, i, v)
			}
			if before[i] = v; v == 2 {
				second++
			}
		}
		p := float64(percent) / 100
		if deviation := math.Abs(float64(second) - p*keys); deviation > 5*math.Sqrt(keys*p*(1-p)) {
			t.Errorf("at %d %% %d of %d keys are with v2", percent, second, keys)
		}
	}
}
