package kube

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

func readyOf(list []*model.Workload, service, version string) int {
	n := 0
	for _, w := range list {
		if w.Ready && w.Service.Name == service && w.Version == version {
			n++
		}
	}
	return n
}

// TestPodsThatWereNotSeenEmptyNothing: slices name new pods that the watch of pods has
// not brought: what was there stays, a service as well as each version and a gateway,
// until pods are seen.
func TestPodsThatWereNotSeenEmptyNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		woken := make(chan struct{}, 10)
		mem := newMemory(func() { woken <- struct{}{} })
		s := cluster().add(podOf("api-v2", "api/v2", "version=v2"), sliceOf("api-c", "api", 8080, up("api-v2", "10.0.0.5")))
		if list, faults := place(shop(), s, mem); readyOf(list, "api", "v1") != 1 || readyOf(list, "api", "v2") != 1 || len(faults) != 0 {
			t.Fatalf("%d workloads, %q", len(list), faults)
		}
		// Everything is rolled, and of the new pods one has been seen.
		s.byName = map[string][]*slice{}
		s.pods = map[string]*pod{}
		s.add(podOf("api-1", "api/v1", "version=v1"),
			sliceOf("api-n", "api", 8080, up("api-1", "10.0.1.1"), up("api-v2-1", "10.0.1.5")), sliceOf("web-n", "web", 8080, up("web-1", "10.0.1.2")),
			sliceOf("edge-n", "edge", 8443, up("edge-1", "10.0.1.3")), sliceOf("bare-n", "bare", 8080, up("bare-1", "10.0.1.4")))
		list, faults := place(shop(), s, mem)
		for _, of := range [][2]string{{"api", "v1"}, {"api", "v2"}, {"web", "v1"}, {"bare", "v1"}, {"edge", ""}} {
			if got := readyOf(list, of[0], of[1]); got != 1 {
				t.Errorf("%d ready of %q", got, of)
			}
		}
		if len(faults) != 0 {
			t.Errorf("before the grace is over: %q", faults)
		}
		if w := named(t, list, "web-0"); w.Inbound[80] != "10.0.0.2:8080" {
			t.Errorf("%+v", w)
		}
		time.Sleep(unseenGrace)
		<-woken
		synctest.Wait()
		if _, faults = place(shop(), s, mem); !strings.Contains(strings.Join(faults, "\n"), "Service shop/web: ready endpoint of a pod that was not seen: web-1") {
			t.Errorf("%q", faults)
		}
		s.add(podOf("api-v2-1", "api/v2", "version=v2"), podOf("web-1", "web/v1", "version=v1"), podOf("edge-1", ""), podOf("bare-1", "bare/v1", "version=v1"))
		list, faults = place(shop(), s, mem)
		if len(list) != 5 || len(faults) != 0 || named(t, list, "web-1").Inbound[80] != "10.0.1.2:8080" {
			t.Errorf("%d workloads, %q", len(list), faults)
		}
		// That there is no endpoint any more is known.
		s.byName["shop/web"] = nil
		if list, _ = place(shop(), s, mem); readyOf(list, "web", "v1") != 0 {
			t.Error("what is known to be gone stays")
		}
	})
}

// TestAPodOfAWatchThatFails: it is as it was seen last, beside others that are ready;
// where pods are followed, that it is not there is known.
func TestAPodOfAWatchThatFails(t *testing.T) {
	mem := newMemory(func() {})
	s := cluster().add(podOf("api-1", "api/v1", "version=v1"), sliceOf("api-c", "api", 8080, up("api-1", "10.0.0.5")))
	place(shop(), s, mem)
	delete(s.pods, "shop/api-1")
	s.fails = true
	if list, _ := place(shop(), s, mem); readyOf(list, "api", "v1") != 2 {
		t.Error("a pod of a watch that fails is dropped")
	}
	s.fails = false
	if list, _ := place(shop(), s, mem); readyOf(list, "api", "v1") != 1 {
		t.Error("a pod that is gone is kept")
	}
}
