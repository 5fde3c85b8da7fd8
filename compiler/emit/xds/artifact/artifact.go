// Package artifact makes the files of `meshc compile`: the resources of every
// workload as JSON go in a directory that it keeps free of files which it
// wrote before and would not write again.
package artifact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// apiVersion of the files. The format of the resources is xDS v3.
const apiVersion = "meshc.dev/v1alpha1"

// Renderer makes the files of a mesh, one by one and in any order. It is safe
// for concurrent use.
type Renderer struct {
	files    map[string]*model.Workload
	resource *xds.Renderer
	key      func(stage string, content ...[]byte) string
}

// New gives the renderer of "<service>/<version>.json" or "<gateway>.json" for
// the first instance of each, by ID, and "….<id>.json" for the others. Names
// that two namespaces share are written "<namespace>.<name>".
func New(m *model.Mesh, workloads []*model.Workload, o xds.Options) (*Renderer, error) {
	r := &Renderer{files: paths(m, workloads)}
	for path, w := range r.files {
		if !fs.ValidPath(path) {
			return nil, fmt.Errorf("workload %s: %q cannot be the name of a file", w.NodeID(), path)
		}
	}
	if len(r.files) != len(workloads) {
		return nil, fmt.Errorf("%d workloads have only %d file names: two IDs and versions join to one", len(workloads), len(r.files))
	}
	var err error
	r.resource, err = xds.NewRenderer(m, workloads, o)
	return r, err
}

// Keyed lets Write leave a file alone of which it knows that the inputs are
// the same, and that nobody touched it since; key makes keys of inputs.
func (r *Renderer) Keyed(key func(stage string, content ...[]byte) string) { r.key = key }

// Key names all that the content of a file depends on; "" when nobody asked
// for keys.
func (r *Renderer) Key(path string) (string, error) {
	w, ok := r.files[path]
	if r.key == nil || !ok {
		return "", nil
	}
	return r.key("render", r.resource.Inputs(w)...), nil
}

// Names gives the slash-separated path of every file, sorted.
func (r *Renderer) Names() []string { return slices.Sorted(maps.Keys(r.files)) }

// Render writes the content of a file. It begins with what it is and which
// proxy it is for; the resources are those of xds.Emit.
func (r *Renderer) Render(out *bytes.Buffer, path string) error {
	w, ok := r.files[path]
	if !ok {
		return fmt.Errorf("no workload has the file %q", path)
	}
	node, err := json.Marshal(w.NodeID())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "{\n  \"apiVersion\": %q,\n  \"kind\": \"ProxyConfig\",\n  \"node\": %s,\n  \"resources\": ", apiVersion, node)
	if err := r.resource.Render(out, w); err != nil {
		return err
	}
	stats, err := r.resource.Stats(w)
	if err != nil {
		return err
	}
	if stats != nil {
		indented := strings.ReplaceAll(strings.TrimSpace(string(stats)), "\n", "\n  ")
		fmt.Fprintf(out, ",\n  \"bootstrap\": {\n    \"stats_config\": %s\n  }", strings.ReplaceAll(indented, "\n", "\n  "))
	}
	out.WriteString("\n}\n")
	return nil
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
