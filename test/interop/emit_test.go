package interop

import (
	"math/rand/v2"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/dataplane"
	"github.com/meshc/meshc/dataplane/bootstrap"
	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/snapshot/build"
)

const meshes = 16

// Every resource that the compiler emits decodes, refers only to what is
// emitted with it, and builds, for every workload of every mesh drawn.
func TestEverythingEmittedIsTaken(t *testing.T) {
	for seed := range uint64(meshes) {
		mesh := maker{rand.New(rand.NewPCG(seed, 1))}.mesh(5)
		all := workloads(mesh)
		for _, w := range all {
			checkWorkload(t, seed, mesh, w, all)
			if w.Role == model.RoleSidecar {
				checkWorkload(t, seed, mesh, inPod(w), all)
			}
		}
		if t.Failed() {
			return
		}
	}
}

func checkWorkload(t *testing.T, seed uint64, mesh *model.Mesh, w *model.Workload, all []*model.Workload) {
	t.Helper()
	emitted, err := xds.Emit(mesh, w, all, xds.Options{Now: now, Commit: "c0ffee"})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	set := build.NewSet()
	for _, m := range messages(emitted) {
		r, err := resource.FromProto(m)
		if err != nil {
			t.Errorf("seed %d, %s: %v", seed, w.NodeID(), err)
			return
		}
		set.Add(r)
	}
	for _, name := range emitted.Bundles {
		set.Secrets[name] = &resource.Secret{Name: name}
	}
	resolver := build.NewResolver(nil)
	defer resolver.Close()
	if _, err := build.New(build.NewSecrets(nil), resolver).Build(set); err != nil {
		t.Errorf("seed %d, %s: %v", seed, w.NodeID(), err)
	}
	static, err := xds.StaticBootstrap(mesh, w, all, xds.BootstrapOptions{AgentSocket: "/run/agent.sock", Admin: "127.0.0.1:9901", Now: now})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	checkBootstrap(t, static)
}

// inPod is w as if its connections were led to its proxy.
func inPod(w *model.Workload) *model.Workload {
	out := *w
	out.Capture = &model.Capture{Addresses: []string{"10.0.0.1", "fd00::1"}, Outbound: map[string][]string{}}
	for key, at := range w.Outbound {
		if !strings.Contains(key, "/x-") { // externals are known by name
			out.Capture.Outbound[key] = []string{at}
		}
	}
	out.Outbound = nil
	return &out
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

func checkBootstrap(t *testing.T, m *bootstrapv3.Bootstrap) *bootstrap.Bootstrap {
	t.Helper()
	raw, err := xds.JSON(m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bootstrap.Parse("bootstrap.json", raw)
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if err := dataplane.Validate(b); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	return b
}

func TestDynamicBootstrapIsTaken(t *testing.T) {
	for _, controller := range []string{"127.0.0.1:15010", "controller.example.com:15010"} {
		m, err := xds.Bootstrap(xds.BootstrapOptions{
			NodeID: "sidecar~shop/s0-v1-0", Cluster: "shop/s0", Admin: "127.0.0.1:9901", AgentSocket: "/run/agent.sock",
			Controller: controller, ControllerID: spiffe("controller"),
		})
		if err != nil {
			t.Fatal(err)
		}
		b := checkBootstrap(t, m)
		if b.ADS == nil || len(b.ADS.Targets) != 1 || b.ADS.Targets[0] != controller || b.ADS.TLS == nil {
			t.Errorf("ADS = %+v", b.ADS)
		}
	}
}
