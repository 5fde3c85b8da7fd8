package kube

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"syscall"
	"testing"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/test/apiserver"
)

// leads waits until a replica has begun a term.
func (w *world) leads(name string) *api.MeshStatus {
	w.t.Helper()
	return w.until(name+" leads", func(s *api.MeshStatus) bool { return s.Inventory.Holder == name })
}

// TestALeaderThatWasPaused (SIGSTOP) for longer than its lease: another one leads,
// and what the first does when it goes on changes nothing.
func TestALeaderThatWasPaused(t *testing.T) {
	w := newWorld(t)
	w.follow(nil)
	first := w.repo.mesh("100", "0")
	one := w.replica("one", "", "--lease", "6s")
	w.untilServing(first)
	must(t, one.cmd.Process.Signal(syscall.SIGSTOP))
	two := w.replica("two", "", "--lease", "6s")
	w.leads("two")
	second := w.repo.mesh("50", "50")
	w.untilServing(second)
	must(t, one.cmd.Process.Signal(syscall.SIGCONT))
	for _, weights := range [][2]string{{"40", "60"}, {"30", "70"}} {
		w.untilServing(w.repo.mesh(weights[0], weights[1]))
	}
	w.until("what served before the last to be deleted", func(s *api.MeshStatus) bool { return len(s.Inventory.Retired) == 0 && s.Inventory.Pending == nil })
	w.serving()
	two.kill() // and the first is ready to lead again
	last := w.repo.mesh("0", "100")
	w.untilServing(last)
	w.leads("one")
}

// TestALeaderThatCannotRenewItsLease, and reaches everything else, ends its term.
func TestALeaderThatCannotRenewItsLease(t *testing.T) {
	w := newWorld(t)
	w.follow(nil)
	first := w.repo.mesh("100", "0")
	p := w.server.Proxy(t)
	w.replica("one", p.URL)
	w.untilServing(first)
	p.Do(func(r *http.Request) *apiserver.Fault {
		if apiserver.Of(r, "leases") {
			return &apiserver.Fault{Status: http.StatusInternalServerError}
		}
		return nil
	})
	w.replica("two", "")
	w.leads("two")
	w.untilServing(w.repo.mesh("50", "50"))
	if s := w.mesh().Status.Inventory; s.Holder != "two" {
		t.Errorf("inventory %+v", s)
	}
	w.serving()
}

// TestTheAPIServerGoesAway: proxies keep what they have, and the commit that came
// meanwhile serves when it is back.
func TestTheAPIServerGoesAway(t *testing.T) {
	w := newWorld(t)
	w.follow(nil)
	first := w.repo.mesh("100", "0")
	p := w.server.Proxy(t)
	w.start(p.URL)
	w.untilServing(first)
	w.proxies()
	w.untilProgrammed(first)
	p.Do(func(*http.Request) *apiserver.Fault { return &apiserver.Fault{Drop: true} })
	p.Disconnect()
	second := w.repo.mesh("0", "100")
	faulted := p.Faulted.Load()
	for p.Faulted.Load() < faulted+20 { // it asks, in vain
		w.wantAnswer("200 api-v1")
	}
	if s := w.mesh().Status; s.Inventory.Serving.Commit != first {
		t.Errorf("inventory %+v", s.Inventory)
	}
	p.Do(nil)
	w.untilServing(second)
	w.untilProgrammed(second)
	w.wantAnswer("200 api-v2")
}

// TestAStormOfFaults: a fifth of all requests go wrong in every way that there is,
// while commits come and the controller is restarted. Each of them serves, and
// nothing is left over.
func TestAStormOfFaults(t *testing.T) {
	w := newWorld(t)
	w.follow(nil)
	commit := w.repo.mesh("100", "0")
	p := w.server.Proxy(t)
	random := rand.New(rand.NewPCG(1, 2))
	faults := []apiserver.Fault{{Status: 409}, {Status: 429, RetryAfter: 1}, {Status: 429}, {Status: 500}, {Status: 503, RetryAfter: 1},
		{Drop: true}, {Lose: true}, {Lose: true}, {Cut: true}}
	p.Do(func(r *http.Request) *apiserver.Fault {
		if random.IntN(5) > 0 {
			return nil
		}
		return &faults[random.IntN(len(faults))]
	})
	w.start(p.URL)
	rounds := 3
	if soak {
		rounds = 40
	}
	for i := range rounds {
		w.untilServing(commit)
		if i%3 == 1 {
			w.controller.kill()
			w.start(p.URL)
		}
		commit = w.repo.mesh([]string{"90", "80"}[i%2], []string{"10", "20"}[i%2])
	}
	w.untilServing(commit)
	faulted := p.Faulted.Load()
	p.Do(nil)
	w.until("nothing pending", func(s *api.MeshStatus) bool { return s.Inventory.Pending == nil && len(s.Inventory.Retired) == 0 })
	if names := w.serving(); len(names) != 2 || !slices.IsSorted(names) {
		t.Errorf("serving %v", names)
	}
	t.Logf("%d of %d requests went wrong", faulted, p.Requests.Load())
}
