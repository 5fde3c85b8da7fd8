package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"

	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store/cluster"
	"github.com/meshc/meshc/reconciler/store/storetest"
	"github.com/meshc/meshc/test/apiserver"
)

// faulty is a writer that reaches the API server by way of a proxy.
type faulty struct {
	*writer
	proxy *apiserver.Proxy
}

func (w *world) faulty(requestTime time.Duration) *faulty {
	w.t.Helper()
	p := w.server.Proxy(w.t)
	client, err := dynamic.NewForConfig(p.Config(apiserver.Admin))
	must(w.t, err)
	cache, err := cluster.NewCache(client, w.namespace, "shop")
	must(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); cache.Run(ctx) }()
	x := &writer{cache: cache, stop: func() { cancel(); <-done }}
	w.t.Cleanup(x.stop)
	must(w.t, cache.Synced(ctx))
	x.Store, err = cluster.Open(ctx, cluster.Options{Client: client, Cache: cache, Namespace: w.namespace, Mesh: "shop", Identity: "one", RequestTime: requestTime})
	must(w.t, err)
	return &faulty{x, p}
}

// saveUntil saves as the reconciler does, again and again until it succeeds, and gives
// the errors on the way.
func (x *faulty) saveUntil(w *world, commit string, services ...string) (errs []error) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := x.Save(storetest.Generation(commit, services...))
		if err == nil {
			return errs
		}
		errs = append(errs, err)
		w.wholeServes()
		if time.Now().After(deadline) {
			w.t.Fatalf("commit %s: %v", commit, errors.Join(errs...))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// wholeServes fails the test if what serves by the API server is not all there.
func (w *world) wholeServes() {
	w.t.Helper()
	y, err := w.reader()
	must(w.t, err)
	if _, err := y.Serving(); err != nil {
		w.t.Errorf("what serves is not whole: %v", err)
	}
}

// reader is a replica that only follows, and starts now.
func (w *world) reader() (*cluster.Cache, error) {
	cache, err := cluster.NewCache(w.admin, w.namespace, "shop")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); cache.Run(ctx) }()
	defer func() { cancel(); <-done }()
	return cache, cache.Synced(ctx)
}

// settled waits until there is what serves, what served before, and nothing else.
func (w *world) settled(x *faulty, commit string) {
	w.t.Helper()
	w.until("nothing is left over", func() bool {
		if err := x.Heal(expired()); err != nil {
			w.t.Fatal(err)
		}
		i := w.mesh().Status.Inventory
		// The gateway is in both generations.
		return i.Serving.Commit == commit && i.Pending == nil && len(i.Retired) == 0 && len(w.objects()) == i.Serving.Objects+i.Previous.Objects-1
	})
	w.wholeServes()
}

func write(r *http.Request) bool { return r.Method != http.MethodGet }

// first has the first n requests of a kind go wrong.
func first(n int, kind func(*http.Request) bool, f apiserver.Fault) func(*http.Request) *apiserver.Fault {
	return func(r *http.Request) *apiserver.Fault {
		if !kind(r) || n == 0 {
			return nil
		}
		n--
		return &f
	}
}

func method(m, resource string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == m && apiserver.Of(r, resource) && !apiserver.IsWatch(r)
	}
}

// TestFaultsOfTheAPIServer: whatever an API server does to a request, a commit is
// served whole or not at all, comes to serve when the fault has passed, and leaves
// nothing behind.
func TestFaultsOfTheAPIServer(t *testing.T) {
	status, apply, remove := method("PUT", "meshes/status"), method("PATCH", "serviceconfigs"), method("DELETE", "serviceconfigs")
	get, read := method("GET", "serviceconfigs"), method("GET", "meshes")
	for name, c := range map[string]struct {
		fault  func(*http.Request) *apiserver.Fault
		errors bool // that a save gives
	}{
		"409 for three status writes":     {first(3, status, apiserver.Fault{Status: 409}), false},
		"409 for many status writes":      {first(25, status, apiserver.Fault{Status: 409}), true},
		"409 for applies":                 {first(2, apply, apiserver.Fault{Status: 409}), true},
		"409 for deletes":                 {first(8, remove, apiserver.Fault{Status: 409}), false},
		"429 with Retry-After":            {first(1, write, apiserver.Fault{Status: 429, RetryAfter: 1}), false},
		"429 without":                     {first(2, write, apiserver.Fault{Status: 429}), true},
		"500 for status writes":           {first(2, status, apiserver.Fault{Status: 500}), true},
		"500 for applies":                 {first(3, apply, apiserver.Fault{Status: 500}), true},
		"500 for deletes":                 {first(3, remove, apiserver.Fault{Status: 500}), false},
		"503 with Retry-After":            {first(1, write, apiserver.Fault{Status: 503, RetryAfter: 1}), false},
		"cut connections":                 {first(5, write, apiserver.Fault{Drop: true}), true},
		"a status write hangs":            {first(1, status, apiserver.Fault{Hang: true}), true},
		"an apply hangs":                  {first(1, apply, apiserver.Fault{Hang: true}), true},
		"a delete hangs":                  {first(1, remove, apiserver.Fault{Hang: true}), false},
		"a lost reply of the first write": {first(1, status, apiserver.Fault{Lose: true}), true},
		"lost replies of applies":         {first(3, apply, apiserver.Fault{Lose: true}), true},
		"lost replies of deletes":         {first(3, remove, apiserver.Fault{Lose: true}), false},
		"lost replies of everything":      {first(6, write, apiserver.Fault{Lose: true}), true},
		"half replies":                    {first(4, status, apiserver.Fault{Cut: true}), true},
		"GET fails, writes work":          {first(20, func(r *http.Request) bool { return get(r) || read(r) }, apiserver.Fault{Status: 500}), false},
		"GET is forbidden, PATCH is not":  {first(20, get, apiserver.Fault{Status: 403}), false},
		"GET fails while the status moves": {func() func(*http.Request) *apiserver.Fault {
			a, b := first(3, status, apiserver.Fault{Status: 409}), first(2, read, apiserver.Fault{Status: 500})
			return func(r *http.Request) *apiserver.Fault {
				if f := a(r); f != nil {
					return f
				}
				return b(r)
			}
		}(), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			within := patience
			if strings.Contains(name, "hangs") {
				within /= 10
			}
			x := w.faulty(within)
			must(t, x.Save(storetest.Generation("1", "a")))
			must(t, x.Save(storetest.Generation("2", "b")))
			x.proxy.Do(c.fault)
			errs := x.saveUntil(w, "3", "c")
			if x.proxy.Faulted.Load() == 0 {
				t.Error("nothing went wrong")
			}
			if (len(errs) > 0) != c.errors {
				t.Errorf("errors on the way: %v", errs)
			}
			if i := w.mesh().Status.Inventory; i.Serving.Commit != "3" {
				t.Errorf("inventory %+v", i)
			}
			x.proxy.Do(nil)
			w.settled(x, "3")
		})
	}
}

// TestAFailingGetDeletesNothing: an object that cannot be read is not taken for one
// that is gone, nor for one that is new.
func TestAFailingGetDeletesNothing(t *testing.T) {
	w := newWorld(t)
	x := w.faulty(patience)
	for i, services := range [][]string{{"a"}, {"b"}} {
		must(t, x.Save(storetest.Generation(fmt.Sprint(i), services...)))
	}
	x.proxy.Do(first(-1, method("GET", "serviceconfigs"), apiserver.Fault{Status: 500}))
	must(t, x.Save(storetest.Generation("2", "c")))
	if err := x.Heal(expired()); err != nil {
		t.Fatal(err)
	}
	if i := w.mesh().Status.Inventory; len(i.Retired) == 0 {
		t.Errorf("the inventory forgot what it could not look at: %+v", i)
	}
	if !slices.ContainsFunc(w.objects(), func(n string) bool { return strings.Contains(n, "service.default.a.") }) {
		t.Error("deleted without a look")
	}
	x.proxy.Do(nil)
	w.settled(x, "2")
}

// TestRequestsAreNotStormed: while everything is refused for a time, a controller asks
// hardly more often than it has to, and does what was wanted afterwards.
func TestRequestsAreNotStormed(t *testing.T) {
	w := newWorld(t)
	x := w.faulty(patience)
	must(t, x.Save(storetest.Generation("1", "a")))
	must(t, x.Save(storetest.Generation("2", "b")))
	n := 0
	x.proxy.Do(func(r *http.Request) *apiserver.Fault { // every tenth
		if n++; n%10 == 0 && !apiserver.IsWatch(r) {
			return &apiserver.Fault{Status: 429, RetryAfter: 1}
		}
		return nil
	})
	before := x.proxy.Requests.Load()
	for i := range 4 {
		must(t, x.Save(storetest.Generation(fmt.Sprint("c", i), fmt.Sprint("s", i))))
	}
	faulted := x.proxy.Faulted.Load()
	asked := x.proxy.Requests.Load() - before
	if faulted == 0 || asked > 4*25+faulted {
		t.Errorf("%d requests for 4 commits, of which %d were refused", asked, faulted)
	}
}

// TestWatchesThatAreCut, that end in "too old resource version", and that cannot be
// begun: what a replica knows is what there is, soon after.
func TestWatchesThatAreCut(t *testing.T) {
	for name, fault := range map[string]apiserver.Fault{
		"cut": {Cut: true}, "too old": {Expired: true}, "refused": {Status: 500}, "dropped": {Drop: true}, "throttled": {Status: 429, RetryAfter: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			x := w.faulty(patience)
			must(t, x.Save(storetest.Generation("1", "a")))
			must(t, x.SaveStatus(&status.Status{Repository: "/r"}))
			x.proxy.Do(first(3, apiserver.IsWatch, fault))
			x.heals(t)
			for i := range 2 {
				x.proxy.Disconnect()
				g := storetest.Generation(fmt.Sprint("c", i), fmt.Sprint("s", i))
				x.saveUntil(w, g.Commit, fmt.Sprint("s", i))
				w.until("the watch tells of "+g.Commit, func() bool {
					got, err := x.cache.Serving()
					return err == nil && got.Commit == g.Commit
				})
			}
			if x.proxy.Faulted.Load() == 0 {
				t.Error("nothing went wrong")
			}
		})
	}
}
