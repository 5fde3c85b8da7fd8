package xds

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/model"
)

// instance selects the workloads of one version of a service.
type instance struct {
	service model.Ref
	version string
}

// index answers look-ups in a mesh and its workloads.
type index struct {
	mesh      *model.Mesh
	workloads map[instance][]*model.Workload // sorted by ID, gateways left out
}

func newIndex(m *model.Mesh, all []*model.Workload) (*index, error) {
	ix := &index{mesh: m, workloads: make(map[instance][]*model.Workload)}
	return ix, ix.place(all)
}

func (ix *index) place(all []*model.Workload) error {
	seen := make(map[string]bool, len(all))
	for _, w := range all {
		if id := w.NodeID(); seen[id] {
			return fmt.Errorf("two workloads are called %s", id)
		} else {
			seen[id] = true
		}
		if w.Role == model.RoleGateway {
			continue
		}
		k := instance{w.Service, w.Version}
		ix.workloads[k] = append(ix.workloads[k], w)
	}
	for _, list := range ix.workloads {
		slices.SortFunc(list, func(a, b *model.Workload) int { return cmp.Compare(a.ID, b.ID) })
	}
	return nil
}

func (ix *index) service(r model.Ref) (*model.Service, error) {
	if s := ix.mesh.Service(r); s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("no service %s in the mesh", r)
}
