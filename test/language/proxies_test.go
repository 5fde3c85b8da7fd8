package language

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/test/stock"
)

// TestEnvoyAccepts lets stock Envoy validate the bootstrap of every workload.
func TestEnvoyAccepts(t *testing.T) {
	envoy := stock.Envoy(t)
	for _, a := range archives(t) {
		t.Run(a.name, func(t *testing.T) {
			m := a.compile(t)
			all := a.workloads(t, m)
			for _, w := range all {
				if w.Role != model.RoleGRPC {
					stock.Accepts(t, envoy, w.NodeID(), bootstrap(t, m, w, all))
				}
			}
		})
	}
}

func bootstrap(t *testing.T, m *model.Mesh, w *model.Workload, all []*model.Workload) []byte {
	t.Helper()
	boot, err := xds.StaticBootstrap(m, w, all, xds.BootstrapOptions{AgentSocket: "/run/meshc/agent.sock", Admin: "127.0.0.1:15000", Now: now})
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

// TestMeshcProxyDecodes: meshc-proxy understands all that an archive gives it,
// and refuses something of each archive that is about what it does not serve.
func TestMeshcProxyDecodes(t *testing.T) {
	for _, a := range archives(t) {
		t.Run(a.name, func(t *testing.T) {
			m := a.compile(t)
			all := a.workloads(t, m)
			var refused []error
			for _, w := range all {
				if w.Role != model.RoleGRPC {
					refused = append(refused, refusals(t, m, w, all)...)
				}
			}
			switch {
			case a.envoyOnly() && len(refused) == 0:
				t.Error("meshc-proxy takes all of it: correct compiler/target and rename the archive")
			case !a.envoyOnly():
				for _, err := range refused {
					t.Error(err)
				}
			}
		})
	}
}

// refusals are the resources of w that meshc-proxy does not take.
func refusals(t *testing.T, m *model.Mesh, w *model.Workload, all []*model.Workload) []error {
	t.Helper()
	res, err := xds.Emit(m, w, all, xds.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var out []error
	for _, msg := range messages(res) {
		if _, err := resource.FromProto(msg); err != nil {
			out = append(out, err)
		}
	}
	return out
}

func messages(r *xds.Resources) []proto.Message {
	var out []proto.Message
	for _, m := range r.Listeners {
		out = append(out, m)
	}
	for _, m := range r.Routes {
		out = append(out, m)
	}
	for _, m := range r.Clusters {
		out = append(out, m)
	}
	for _, m := range r.Endpoints {
		out = append(out, m)
	}
	return out
}
