package kube

import (
	"testing"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/test/loopback"
)

// TestProgrammedCountsAllReplicas: proxies count wherever they are connected. A replica
// that is killed drops out when what it said has expired, and a proxy that comes to
// another one is the same proxy.
func TestProgrammedCountsAllReplicas(t *testing.T) {
	w := newWorld(t)
	w.follow(nil)
	first := w.repo.mesh("100", "0")
	issuer, second := w.issuerDir(), loopback.Address(t)
	w.replica("one", "", "--ca-issuer-dir", issuer, "--ca-dir", w.at("ca"), "--ca-root-out", w.at("roots.pem"), "--ads-address", w.ads, "--ca-address", w.ca)
	w.untilServing(first) // one leads
	two := w.replica("two", "", "--ca-issuer-dir", issuer, "--ads-address", second)
	for i, x := range w.workloads {
		launch(t, "meshc-proxy", w.proxyArgs(x, []string{w.ads, second, second}[i], w.ca)...)
	}
	w.untilProgrammed(first)
	w.untilProgrammed(w.repo.mesh("0", "100"))

	two.kill()
	s := w.until("the proxies of the one that was killed to be missed", func(s *api.MeshStatus) bool { return s.Programmed.Done == 1 })
	if c, _ := s.Condition(status.OnNodes); c.Status != status.False || s.Programmed.Total != 3 || s.Inventory.Holder != "one" {
		t.Errorf("programmed %+v, condition %+v", s.Programmed, c)
	}
	third := w.repo.mesh("50", "50")
	w.until("it to be on the proxy that is left", func(s *api.MeshStatus) bool { return s.Programmed.Commit == third && s.Programmed.Done == 1 })
	w.replica("three", "", "--ca-issuer-dir", issuer, "--ads-address", second)
	s = w.untilProgrammed(third)
	if len(s.Programmed.Behind) != 0 || s.Summary.Programmed != "3/3" {
		t.Errorf("%+v, %+v", s.Programmed, s.Summary)
	}
}
