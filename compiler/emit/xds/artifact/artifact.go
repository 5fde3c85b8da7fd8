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
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// apiVersion of the files. The format of the resources is xDS v3.
const apiVersion = "meshc.dev/v1alpha1"

// Renderer makes the files of a mesh, one by one and in any order. It is safe
// for concurrent use.
type Renderer struct {
	mesh   *model.Mesh
	opts   xds.Options
	placed *xds.Placement           // of the workloads; nil where they were given
	all    func() (*proxies, error) // every file
	key    func(stage string, content ...[]byte) string

	name  string
	since map[string]map[model.Ref]bool

	few, whole *proxies  // those that Reached has given, and all, where they were asked for
	until      time.Time // of the basis that Reached was asked about
}

// proxies are workloads by the names of their files, and what renders them.
type proxies struct {
	files    map[string]*model.Workload
	resource *xds.Renderer
}

// New gives the renderer of "<service>/<version>.json" or "<gateway>.json" for
// the first instance of each, by ID, and "….<id>.json" for the others. Names
// that two namespaces share are written "<namespace>.<name>".
func New(m *model.Mesh, workloads []*model.Workload, o xds.Options) (*Renderer, error) {
	all, err := newProxies(m, workloads, workloads, o)
	return &Renderer{mesh: m, opts: o, all: func() (*proxies, error) { return all, nil }}, err
}

// Placed gives the renderer of the workloads of xds.Place.
func Placed(m *model.Mesh, o xds.Options) *Renderer {
	r := &Renderer{mesh: m, opts: o, placed: xds.Place(m)}
	r.all = sync.OnceValues(func() (_ *proxies, err error) {
		all := r.placed.Workloads(func(model.Ref) bool { return true })
		r.whole, err = newProxies(m, all, all, o)
		return r.whole, err
	})
	return r
}

// newProxies are some of all workloads that they may know.
func newProxies(m *model.Mesh, some, all []*model.Workload, o xds.Options) (*proxies, error) {
	out := &proxies{files: paths(m, some)}
	for path, w := range out.files {
		if !fs.ValidPath(path) {
			return nil, fmt.Errorf("workload %s: %q cannot be the name of a file", w.NodeID(), path)
		}
	}
	if len(out.files) != len(some) {
		return nil, fmt.Errorf("%d workloads have only %d file names: two IDs and versions join to one", len(some), len(out.files))
	}
	var err error
	out.resource, err = xds.NewRenderer(m, all, o)
	return out, err
}

// Keyed lets Write leave a file alone of which it knows that the inputs are
// the same, and that nobody touched it since; key makes keys of inputs.
func (r *Renderer) Keyed(key func(stage string, content ...[]byte) string) { r.key = key }

// Named says what the model is called, and by the name of earlier models, which
// services, or their workloads, differ from these (xds.Differing). A name is of
// one build of the compiler, and of files with no commit in them that need ADS.
func (r *Renderer) Named(name string, since map[string]map[model.Ref]bool) {
	if r.opts.Commit == "" && !r.opts.Static {
		r.name, r.since = name, since
	}
}

// Reached are the files of proxies that may know a service that differs from the
// model of a basis.
func (r *Renderer) Reached(b *Basis) (names []string, ok bool) {
	differing, ok := r.since[b.Model]
	if !ok || r.placed == nil || r.opts.Now.Before(b.At) || !b.Until.IsZero() && !r.opts.Now.Before(b.Until) {
		return nil, false
	}
	reached := r.placed.Reached(differing)
	is := func(ref model.Ref) bool { return reached[ref] }
	few, err := newProxies(r.mesh, r.placed.Workloads(is), r.placed.Around(is), r.opts)
	if err != nil {
		return nil, false // said by Names
	}
	r.few, r.until = few, b.Until
	return slices.Sorted(maps.Keys(few.files)), true
}

// Basis is nil for a model without a name, where nobody asked for keys, and for
// workloads that were given.
func (r *Renderer) Basis() *Basis {
	if r.name == "" || r.placed == nil || r.key == nil {
		return nil
	}
	out := &Basis{Model: r.name, At: r.opts.Now, Until: r.until}
	for _, p := range []*proxies{r.few, r.whole} {
		if p == nil {
			continue
		}
		if t := p.resource.Until(); out.Until.IsZero() || !t.IsZero() && t.Before(out.Until) {
			out.Until = t
		}
	}
	return out
}

// Key names all that the content of a file depends on; "" when nobody asked
// for keys.
func (r *Renderer) Key(path string) (string, error) {
	if r.key == nil {
		return "", nil
	}
	p, w, err := r.file(path)
	if err != nil {
		return "", err
	}
	return r.key("render", p.resource.Inputs(w)...), nil
}

// file finds the workload of a file.
func (r *Renderer) file(path string) (*proxies, *model.Workload, error) {
	if r.few != nil && r.few.files[path] != nil {
		return r.few, r.few.files[path], nil
	}
	all, err := r.all()
	if err != nil {
		return nil, nil, err
	}
	if w := all.files[path]; w != nil {
		return all, w, nil
	}
	return nil, nil, fmt.Errorf("no workload has the file %q", path)
}

// Names gives the slash-separated path of every file, sorted.
func (r *Renderer) Names() ([]string, error) {
	all, err := r.all()
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(all.files)), nil
}

// Render writes the content of a file. It begins with what it is and which
// proxy it is for; the resources are those of xds.Emit.
func (r *Renderer) Render(out *bytes.Buffer, path string) error {
	p, w, err := r.file(path)
	if err != nil {
		return err
	}
	node, err := json.Marshal(w.NodeID())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "{\n  \"apiVersion\": %q,\n  \"kind\": \"ProxyConfig\",\n  \"node\": %s,\n  \"resources\": ", apiVersion, node)
	if err := p.resource.Render(out, w); err != nil {
		return err
	}
	stats, err := p.resource.Stats(w)
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
