package cluster_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store/storetest"
	"github.com/meshc/meshc/test/apiserver"
)

// fatal is a network on which a controller dies at its nth write: before the
// request is sent, or before the reply comes. Nothing gets through afterwards.
type fatal struct {
	next  http.RoundTripper
	at    int64
	after bool
	count atomic.Int64
}

var errDead = errors.New("the controller was killed")

func (f *fatal) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		if f.count.Load() >= f.at {
			return nil, errDead
		}
		return f.next.RoundTrip(r)
	}
	n := f.count.Add(1)
	if n > f.at || n == f.at && !f.after {
		return nil, errDead
	}
	resp, err := f.next.RoundTrip(r)
	if err == nil && n == f.at {
		resp.Body.Close()
		return nil, errDead
	}
	return resp, err
}

// TestKilledAtEveryWrite ends a controller at its first, second, … write, before and
// after it reached the API server. Whatever was acknowledged serves afterwards and
// is whole, the next controller brings the cluster to the same objects in one
// pass, and none is left over.
func TestKilledAtEveryWrite(t *testing.T) {
	step, generations, least := 3, 3, 14 // a part of the points, unless the long version is asked for
	if os.Getenv("MESHC_SOAK") == "1" {
		step, generations, least = 1, 24, 300
	}
	killed := 0
	for at := 1; ; at += step {
		survived := true
		for _, after := range []bool{false, true} {
			if !killedAt(t, at, generations, after) {
				survived = false
				killed++
			}
		}
		if survived {
			break
		}
	}
	t.Logf("killed at %d points", killed)
	if killed < least {
		t.Errorf("killed at %d points only", killed)
	}
}

// killedAt says whether the controller outlived its writes.
func killedAt(t *testing.T, at, generations int, after bool) (survived bool) {
	t.Helper()
	w := newWorld(t)
	where := fmt.Sprintf("write %d, after %t", at, after)
	acknowledged, survived := w.write(int64(at), generations, after)

	x := w.mustOpen("next")
	g, err := x.Load()
	serving := 0
	if err == nil {
		_, _ = fmt.Sscan(g.Commit, &serving)
	}
	if serving < acknowledged || err == nil && (g.Damage != nil || len(g.Mesh.Services) != 3) {
		t.Errorf("%s: commit %d serves after %d was acknowledged: %v", where, serving, acknowledged, err)
	}
	last := storetest.Generation("98", "a", "z")
	must(t, x.Save(last))
	must(t, x.Save(storetest.Generation("99", "a", "z")))
	var want []string
	w.until(where+": nothing is left over", func() bool {
		must(t, x.Heal(expired()))
		inventory := w.mesh().Status.Inventory
		want = w.objects()
		// The generation that serves: manifest, a, z, gateway; of the one before
		// what is not shared.
		previous := 0
		if inventory.Previous != nil {
			previous = inventory.Previous.Objects - 2
		}
		return len(want) == 4+previous && len(inventory.Retired) == 0 && inventory.Pending == nil
	})
	if !slices.IsSorted(want) {
		t.Errorf("objects %v", want)
	}
	x.stop()
	return survived
}

// write is the life of a controller that is killed: generations of which each
// replaces a service of the one before.
func (w *world) write(at int64, generations int, after bool) (acknowledged int, survived bool) {
	w.t.Helper()
	config := w.server.Config(apiserver.Admin)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &fatal{next: next, at: at, after: after} })
	x, err := w.open("killed", config)
	if err != nil {
		return 0, false
	}
	defer x.stop()
	for n := 1; n <= generations; n++ {
		if err := x.Save(storetest.Generation(fmt.Sprint(n), "a", "b", fmt.Sprint("c", n))); err != nil {
			return acknowledged, false
		}
		acknowledged = n
		if err := x.SaveStatus(&status.Status{Repository: "/r", Ref: fmt.Sprint(n)}); err != nil {
			return acknowledged, false
		}
	}
	return acknowledged, true
}
