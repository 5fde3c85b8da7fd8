package language

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"cuelang.org/go/cue/ast"
	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/emit/kube"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/artifact"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"

	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// traceSites are how many places of each field a soak looks at; a short run
// looks at one, of one field of mutantShare.
const traceSites = 3

// statements are fields that say an order. What is said holds, or vet refuses
// it; where it would hold anyway nothing else differs.
// Which proxy serves somebody is what vet goes by, and the account of a gateway
// is in its certificate.
var statements = []string{".before", ".before.[]", ".after", ".after.[]", ".proxy", "gateway.*.serviceAccount"}

// forPeople says that a field is a statement, or that the schema calls it
// documentation, or what vet and test go by.
func forPeople(field string) bool {
	if strings.Contains(field, ".expect.") || strings.HasPrefix(field, "mesh.policies.") {
		return true // the mesh is held against it, no proxy is given it
	}
	if slices.ContainsFunc(statements, func(end string) bool { return strings.HasSuffix(field, end) }) {
		return true
	}
	said := []string{"Envoy: none; it is for people", "shown by `meshc status`"}
	return slices.ContainsFunc(load.SchemaFields(), func(f load.SchemaField) bool {
		return f.Field == field && slices.ContainsFunc(said, func(text string) bool { return strings.Contains(f.Doc, text) })
	})
}

// noEffect are the diagnostics that say of a field, or of what it stands in,
// that nobody acts on it.
var noEffect = []diag.Code{
	diag.NobodyCalls, diag.VersionUnused, diag.LimitNever, diag.RouteNotEntered, diag.DefaultUnused,
}

// TestEveryFieldLeavesATrace: what is written in a mesh is to be found in what
// its proxies are given: with another value, or without it, they are given
// something else. Or a diagnostic says that the field has no effect, or the
// schema that it is for people.
func TestEveryFieldLeavesATrace(t *testing.T) {
	run := &traceRun{t: t, judged: map[string]int{}, bases: map[*source]*base{}}
	type job struct {
		of    *source
		s     *site
		field string
	}
	var jobs []job
	taken, most, meshes := map[string]int{}, traceSites, uint64(mutantMeshes)
	if !soak() {
		most, meshes = 1, mutantMeshes/10
	}
	for i, of := range sources(t, meshes)[1:] { // Bookinfo says some things twice: for all services, and for one
		all := sites(t, of.files)
		dice := rand.New(rand.NewPCG(uint64(i), 3))
		here := map[string]bool{}
		for _, at := range dice.Perm(len(all)) {
			s := all[at]
			f := s.place.field
			if s.below() || !drawn(f) || here[f] || taken[f] >= most {
				continue
			}
			taken[f]++
			here[f] = true
			jobs = append(jobs, job{of, s.whole(), f})
		}
	}
	each(jobs, func(j job) { run.trace(j.of, j.s, j.field) })
	t.Logf("%d places of %d fields, %d other meshes compiled", len(jobs), len(taken), run.compiled)
	for f := range taken {
		if run.judged[f] == 0 && soak() {
			t.Errorf("%s: no other value of it is valid in any mesh, so nothing is known of its trace", f)
		}
	}
}

// whole is the exception that a site is a condition of, else the site: a
// condition of an exception may hold for all that its route takes, and is left
// out then.
func (s *site) whole() *site {
	for at := s; at != nil; at = at.above {
		if strings.HasSuffix(at.place.field, ".except.[]") {
			return at
		}
	}
	return s
}

// below says that something stands below the site.
func (s *site) below() bool {
	v, ok := s.value.(*ast.StructLit)
	l, isList := s.value.(*ast.ListLit)
	return ok && len(v.Elts) > 0 || isList && (len(l.Elts) > 0 || s.label != "") // an empty list says the default
}

// traceRun collects what is seen.
type traceRun struct {
	t        *testing.T
	mu       sync.Mutex
	judged   map[string]int // places of a field that had a valid other value
	compiled int
	bases    map[*source]*base
}

// base is what a mesh gives as it is written.
type base struct {
	once  sync.Once
	diags diag.List
	model *model.Mesh
	pods  map[string]string
	mu    sync.Mutex
	files map[string]string // of those that were asked for
}

func (r *traceRun) base(of *source) *base {
	r.mu.Lock()
	b := r.bases[of]
	if b == nil {
		b = &base{files: map[string]string{}}
		r.bases[of] = b
	}
	r.mu.Unlock()
	b.once.Do(func() {
		got := compileFiles(r.t, of.files)
		b.diags = got.Diags
		if b.model = got.Model; b.model != nil {
			b.pods = podsOf(got.Model)
		}
	})
	return b
}

func compileFiles(t *testing.T, files map[string]string) *compiler.Result {
	t.Helper()
	res, err := compiler.Compile(t.Context(), (&gen.Generated{Files: files}).FS(), compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// podsOf gives a pod of every version, as a user would write it.
func podsOf(m *model.Mesh) map[string]string {
	out := map[string]string{}
	for _, s := range m.Services {
		for _, v := range s.Versions {
			labels := fmt.Sprintf("%q: %q", kube.ServiceLabel, s.Name)
			for _, name := range slices.Sorted(maps.Keys(v.Labels)) {
				labels += fmt.Sprintf(", %q: %q", name, v.Labels[name])
			}
			out[s.Ref.String()+" "+v.Name] = fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app", "namespace": %q, "labels": {%s}},
"spec": {"serviceAccountName": %q, "containers": [{"name": "app", "image": "app:1", "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}}]}}`, s.Namespace, labels, s.ServiceAccount)
		}
	}
	return out
}

// given is what a mesh gives: what its proxies are given, by file, and what
// becomes of pods. Where places are asked for, every version runs in some.
func given(t *testing.T, m *model.Mesh, pods map[string]string, places bool) map[string]func() string {
	t.Helper()
	all := xds.DefaultWorkloads(m)
	if places {
		for _, w := range slices.Clone(all) {
			for i, place := range []string{"eu/a", "eu/b", "eu/c", "us/east"} {
				all = append(all, another(t, w, i+1, place))
			}
			w.Locality = model.PlaceOf("eu/a/1")
		}
	}
	r, err := artifact.New(m, all, xds.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]func() string{}
	for _, name := range r.Names() {
		out[name] = func() string {
			var content bytes.Buffer
			if err := r.Render(&content, name); err != nil {
				t.Error(err)
			}
			return content.String()
		}
	}
	for name, pod := range pods {
		out[name] = func() string {
			got, err := kube.Inject(m, []byte(pod), kube.Options{})
			if err != nil {
				return err.Error()
			}
			return string(got.Out)
		}
	}
	return out
}

// trace looks for a valid other value of a site that shows.
func (r *traceRun) trace(of *source, s *site, field string) {
	b := r.base(of)
	if b.model == nil {
		r.t.Errorf("%s: %v", of.name, b.diags)
		return
	}
	var tried []string
	for _, m := range others(s) {
		if m.kind == nothing && len(tried) == 0 && s.label != "" && !strings.HasSuffix(s.place.field, ".*") {
			break // it may say the default, of which no other value is known
		}
		got := compileFiles(r.t, m.files(of.files))
		r.mu.Lock()
		r.compiled++
		r.mu.Unlock()
		if got.Model == nil {
			continue
		}
		r.mu.Lock()
		r.judged[field]++
		r.mu.Unlock()
		if r.shows(b, s, got) {
			return
		}
		tried = append(tried, fmt.Sprintf("%s %s", m.kind, m.edit.text))
	}
	if len(tried) > 0 && !b.saysWhy(s) && !forPeople(s.place.field) && !b.beyondGateways(s) {
		r.t.Errorf("%s: %s leaves no trace: nothing differs with %s", of.name, s, strings.Join(tried, ", "))
	}
}

// shows says that what proxies are given differs.
func (r *traceRun) shows(b *base, s *site, got *compiler.Result) bool {
	places := strings.Contains(s.place.field, ".locality")
	was, is := given(r.t, b.model, b.pods, places), given(r.t, got.Model, b.pods, places)
	if len(was) != len(is) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, render := range is {
		key := fmt.Sprint(places, name)
		if _, known := b.files[key]; !known && was[name] != nil {
			b.files[key] = was[name]()
		}
		if was[name] == nil || render() != b.files[key] {
			return true
		}
	}
	return false
}

// saysWhy says that a diagnostic speaks of the site, or of what it stands in.
func (b *base) saysWhy(s *site) bool {
	for at := s; at != nil; at = at.above {
		for _, d := range b.diags {
			if d.Range.File != s.file || d.Range.Start.Line != at.node.Pos().Line() {
				continue
			}
			if at == s || slices.Contains(noEffect, d.Code) {
				return true
			}
		}
	}
	return false
}

// beyondGateways says that a site is in an exception of a service which only
// gateways call: exceptions may be for requests that no gateway leads there.
func (b *base) beyondGateways(s *site) bool {
	if !strings.HasSuffix(s.place.field, ".except.[]") || !strings.HasPrefix(s.place.field, "service.") {
		return false
	}
	name := s
	for name.place.field != "service.*" {
		name = name.above
	}
	return !slices.ContainsFunc(b.model.Services, func(o *model.Service) bool {
		return slices.ContainsFunc(o.Uses, func(to model.Ref) bool { return to.Name == name.label })
	})
}
