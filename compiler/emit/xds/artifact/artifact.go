// Package artifact makes the files of `meshc compile`: the resources of every
// workload as JSON go in a directory that it keeps free of files which it
// wrote before and would not write again.
package artifact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// apiVersion of the files. The format of the resources is xDS v3.
const apiVersion = "meshc.dev/v1alpha1"

// document is one file. It begins with what it is and which proxy it is for.
type document struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Node       string         `json:"node"`
	Resources  *xds.Resources `json:"resources"`
}

// Files gives the content of every file by its slash-separated path:
// "<service>/<version>.json" or "<gateway>.json" for the first instance of
// each, by ID, and "….<id>.json" for the others. Names that two namespaces
// share are written "<namespace>.<name>".
func Files(m *model.Mesh, workloads []*model.Workload, o xds.Options) (map[string][]byte, error) {
	out := make(map[string][]byte, len(workloads))
	for path, w := range paths(m, workloads) {
		if !fs.ValidPath(path) {
			return nil, fmt.Errorf("workload %s: %q cannot be the name of a file", w.NodeID(), path)
		}
		res, err := xds.Emit(m, w, workloads, o)
		if err != nil {
			return nil, err
		}
		if err := res.Complete(); err != nil {
			return nil, fmt.Errorf("workload %s: %w", w.NodeID(), err)
		}
		if out[path], err = render(document{APIVersion: apiVersion, Kind: "ProxyConfig", Node: w.NodeID(), Resources: res}); err != nil {
			return nil, fmt.Errorf("workload %s: %w", w.NodeID(), err)
		}
	}
	if len(out) != len(workloads) {
		return nil, fmt.Errorf("%d workloads have only %d file names: two IDs and versions join to one", len(workloads), len(out))
	}
	return out, nil
}

func render(d document) ([]byte, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// group is what shares the first part of a file's name.
type group struct {
	of      model.Ref
	version string
	gateway bool
}

func groupOf(w *model.Workload) group {
	return group{w.Service, w.Version, w.Role == model.RoleGateway}
}

// paths names the file of each workload.
func paths(m *model.Mesh, workloads []*model.Workload) map[string]*model.Workload {
	sorted := slices.Clone(workloads)
	slices.SortFunc(sorted, func(a, b *model.Workload) int { return strings.Compare(a.ID, b.ID) })
	names := newNames(m)
	out := make(map[string]*model.Workload, len(sorted))
	seen := make(map[group]bool)
	for _, w := range sorted {
		g := groupOf(w)
		path := names.service(w.Service) + "/" + w.Version
		if g.gateway {
			path = names.gateway(w.Service)
		}
		if seen[g] {
			path += "." + w.ID
		}
		seen[g] = true
		out[path+".json"] = w
	}
	return out
}

// names knows which names stand in several namespaces.
type names struct{ services, gateways map[string]int }

func newNames(m *model.Mesh) names {
	n := names{make(map[string]int), make(map[string]int)}
	for _, s := range m.Services {
		n.services[s.Name]++
	}
	for _, g := range m.Gateways {
		n.gateways[g.Name]++
	}
	return n
}

func (n names) service(r model.Ref) string { return qualified(r, n.services[r.Name] > 1) }

func (n names) gateway(r model.Ref) string { return qualified(r, n.gateways[r.Name] > 1) }

func qualified(r model.Ref, shared bool) string {
	if shared {
		return r.Namespace + "." + r.Name
	}
	return r.Name
}
