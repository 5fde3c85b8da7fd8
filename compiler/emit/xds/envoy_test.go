package xds_test

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/stock"
)

func staticJSON(t *testing.T, m *model.Mesh, w *model.Workload, all []*model.Workload) []byte {
	t.Helper()
	boot, err := xds.StaticBootstrap(m, w, all, xds.BootstrapOptions{
		AgentSocket: "/run/meshc/agent.sock", Admin: "127.0.0.1:15000", Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := boot.ValidateAll(); err != nil {
		t.Fatalf("%s: %v", w.NodeID(), err)
	}
	out, err := xds.JSON(boot)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEnvoyAcceptsBookinfo(t *testing.T) {
	envoy := stock.Envoy(t)
	m := bookinfo()
	all := xds.DefaultWorkloads(m)
	for _, w := range all {
		t.Run(w.ID, func(t *testing.T) {
			stock.Accepts(t, envoy, w.NodeID(), staticJSON(t, m, w, all))
		})
	}
}

// TestEnvoyAcceptsRandomMeshes covers what the model can say and no CUE does:
// several conditions on one path, and conditions that meet the same header.
func TestEnvoyAcceptsRandomMeshes(t *testing.T) {
	envoy := stock.Envoy(t)
	for seed := range uint64(12) {
		m := newDice(seed, false).mesh()
		all := xds.DefaultWorkloads(m)
		w := all[int(seed)%len(all)]
		if w.Role == model.RoleGRPC {
			continue
		}
		stock.Accepts(t, envoy, w.NodeID(), staticJSON(t, m, w, all))
		if w.Role == model.RoleSidecar {
			stock.Accepts(t, envoy, w.NodeID()+" in a pod", staticJSON(t, m, inPod(w, seed%2 == 0), all))
		}
	}
}

// inPod is w as if its connections were led to its proxy; it knows externals by
// name, or all that it calls by address.
func inPod(w *model.Workload, named bool) *model.Workload {
	out := *w
	out.Capture = &model.Capture{Addresses: []string{"10.0.0.1"}, Outbound: map[string][]string{}}
	for key, at := range w.Outbound {
		if !named || !strings.Contains(key, "/ext:") {
			out.Capture.Outbound[key] = []string{at}
		}
	}
	out.Outbound = nil
	return &out
}

func TestEnvoyAcceptsDynamicBootstrap(t *testing.T) {
	envoy := stock.Envoy(t)
	for _, controller := range []string{"127.0.0.1:15010", "localhost:15010"} {
		boot, err := xds.Bootstrap(xds.BootstrapOptions{
			NodeID: "sidecar~shop/reviews.v1-0", Cluster: "shop/reviews", Admin: "127.0.0.1:15000",
			AgentSocket: "/run/meshc/agent.sock", Controller: controller,
			ControllerID: "spiffe://cluster.local/ns/meshc-system/sa/controller",
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := boot.ValidateAll(); err != nil {
			t.Fatal(err)
		}
		config, err := xds.JSON(boot)
		if err != nil {
			t.Fatal(err)
		}
		stock.Accepts(t, envoy, controller, config)
	}
}
