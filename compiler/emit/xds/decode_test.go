package xds_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/dataplane/resource"
)

// decodes says that meshc-proxy understands every field of what w is given.
func decodes(t *testing.T, m *model.Mesh, w *model.Workload, all []*model.Workload) {
	t.Helper()
	res, err := xds.Emit(m, w, all, xds.Options{Now: now, Commit: "c0ffee"})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range messages(res) {
		if _, err := resource.FromProto(v.(proto.Message)); err != nil {
			t.Errorf("%s: %v\n%v", w.NodeID(), err, v)
		}
	}
}

func TestDataPlaneDecodesBookinfo(t *testing.T) {
	m := bookinfo()
	all := xds.DefaultWorkloads(m)
	for _, w := range all {
		decodes(t, m, w, all)
	}
}

func TestDataPlaneDecodesRandomMeshes(t *testing.T) {
	for seed := range uint64(30) {
		m := newDice(seed, false).mesh()
		onlyServed(m)
		all := xds.DefaultWorkloads(m)
		for _, w := range all {
			if w.Role != model.RoleGRPC {
				decodes(t, m, w, all)
			}
		}
	}
}

// onlyServed takes out of m what the capability table says that meshc-proxy
// does not serve.
func onlyServed(m *model.Mesh) {
	strip := func(r *model.Route) { r.Mirror, r.Upgrades, r.CORS = nil, nil, nil }
	for _, s := range m.Services {
		for _, r := range s.Routes {
			strip(r)
		}
	}
	for _, g := range m.Gateways {
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				for _, r := range h.Routes {
					strip(r.Route)
				}
			}
		}
	}
}
