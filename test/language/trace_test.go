package language

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"cuelang.org/go/cue/ast"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/soak"
)

// A soak judges traceSites places of each field, and looks for them at
// traceTries, in other meshes each; a short run judges one, of one field of
// mutantShare.
const (
	traceSites = 3
	traceTries = 12
)

// TestEveryFieldLeavesATrace: what is written in a mesh is to be found in what
// its proxies are given: with another value, or without it, they are given
// something else. Or a diagnostic says that the field has no effect, or the
// schema that it is for people. Of a soak, MESHC_SOAK_PART=1/2 takes one half of
// the fields.
func TestEveryFieldLeavesATrace(t *testing.T) {
	run := &traceRun{t: t, judged: map[string]int{}, bases: map[*source]*base{}, written: map[string][]string{}}
	meshes, want := uint64(mutantMeshes), traceSites
	if !soak.On() {
		meshes, want = mutantMeshes/10, 1
	}
	spots := run.spotsOf(sources(t, meshes)[1:]) // Bookinfo says some things twice: for all services, and for one
	fields := slices.DeleteFunc(slices.Sorted(maps.Keys(spots)), func(f string) bool { return !drawn(f) || !ofPart(t, f) })
	each(fields, func(f string) {
		judged := 0
		for _, at := range spots[f] {
			if judged == want {
				break
			}
			if run.trace(at) {
				judged++
			}
		}
		run.note(func() { run.judged[f] += judged })
	})
	places := 0
	for _, n := range run.judged {
		places += n
	}
	t.Logf("%d places of %d fields, %d other meshes compiled", places, len(fields), run.compiled)
	if soak.On() {
		run.everyField(fields)
	}
}

// spot is a place of a mesh where a field is written.
type spot struct {
	of *source
	s  *site
}

// spotsOf gives places of each field, each in another mesh, those of small
// meshes first.
func (r *traceRun) spotsOf(list []*source) map[string][]spot {
	out := map[string][]spot{}
	for i, of := range list {
		all := sites(r.t, of.files)
		dice := rand.New(rand.NewPCG(uint64(i), 3))
		here := map[string]bool{}
		for _, at := range dice.Perm(len(all)) {
			s := all[at]
			f := s.place.field
			r.writes(f, of.files[s.file][s.value.Pos().Offset():s.value.End().Offset()])
			if s.below() || here[f] || len(out[f]) >= traceTries {
				continue
			}
			here[f] = true
			out[f] = append(out[f], spot{of, s.whole()})
		}
	}
	return out
}

// writes notes what some mesh writes in a field.
func (r *traceRun) writes(field, text string) {
	if len(r.written[field]) < mostNames && len(text) < 500 {
		r.written[field] = added(r.written[field], text)
	}
}

// ofPart says that a field is of the part of a soak that this process runs.
func ofPart(t *testing.T, field string) bool {
	t.Helper()
	part, of := soak.Part(t)
	h := fnv.New32a()
	h.Write([]byte(field))
	return uint64(h.Sum32())%of == part-1
}

// everyField: of each field some place is judged, or the test has a reason why
// no second value of it can be valid.
func (r *traceRun) everyField(fields []string) {
	for _, f := range fields {
		_, listed := onlyValue[f]
		switch {
		case r.judged[f] == 0 && !listed && !forPeople(f):
			r.t.Errorf("%s: no other value of it is valid in any mesh, so nothing is known of its trace", f)
		case r.judged[f] > 0 && listed:
			r.t.Logf("%s has another valid value: it need not be in onlyValue", f)
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
	written  map[string][]string // by field: what meshes write there
}

func (r *traceRun) note(what func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what()
}

// base is what a mesh gives as it is written.
type base struct {
	once  sync.Once
	diags diag.List
	model *model.Mesh
	pods  map[string]string
	names *names
	mu    sync.Mutex
	was   map[bool]map[string]func() string // with places, and without
	files map[string][sha256.Size]byte      // of those that were asked for
}

func (r *traceRun) base(of *source) *base {
	r.mu.Lock()
	b := r.bases[of]
	if b == nil {
		b = &base{was: map[bool]map[string]func() string{}, files: map[string][sha256.Size]byte{}}
		r.bases[of] = b
	}
	r.mu.Unlock()
	b.once.Do(func() {
		got := compileFiles(r.t, of.files)
		b.diags = got.Diags
		b.names = namesOf(sites(r.t, of.files))
		if b.model = got.Model; b.model != nil {
			b.pods = podsOf(got.Model)
		}
	})
	return b
}

// trace looks for a valid other value of a site that shows. It says whether
// there was one to judge by.
func (r *traceRun) trace(at spot) bool {
	b, s := r.base(at.of), at.s
	if b.model == nil {
		r.t.Errorf("%s: %v", at.of.name, b.diags)
		return false
	}
	var tried []string
	for _, m := range others(s, b.names, r.written) {
		if m.kind == inHolder && len(tried) > 0 {
			break
		}
		got := r.compile(at, m)
		switch {
		case got == nil:
		case r.shows(b, s, got, r.compile(at, m.against)):
			return true
		case len(tried) > 0 || m.kind != inHolder && (m.kind != nothing || s.label == "" || strings.HasSuffix(s.place.field, ".*")):
			tried = append(tried, fmt.Sprintf("%s %s", m.kind, m.edit.text))
		default: // it may say the default, of which no other value is known
		}
	}
	switch {
	case len(tried) == 0:
		return b.saysWhy(s)
	case s.ofPods() && b.refusesPods(r.t):
		return false // and says why
	}
	if !b.saysWhy(s) && !forPeople(s.place.field) && !b.beyondGateways(s) && !b.versionNotEntered(s) {
		r.t.Errorf("%s: %s leaves no trace: nothing differs with %s", at.of.name, s, strings.Join(tried, ", "))
	}
	return true
}

// compile gives what becomes of a mesh with a change; nil for one that is wrong,
// or is none.
func (r *traceRun) compile(at spot, m *mutant) *model.Mesh {
	if m == nil {
		return nil
	}
	files := m.files(at.of.files)
	if files[at.s.file] == at.of.files[at.s.file] {
		return nil
	}
	r.note(func() { r.compiled++ })
	return compileFiles(r.t, files).Model
}

// shows says that what proxies are given differs from what another mesh gives,
// and without one from what the mesh gives as it is written.
func (r *traceRun) shows(b *base, s *site, got, other *model.Mesh) bool {
	places := strings.Contains(s.place.field, ".locality")
	is := given(r.t, got, b.pods, places)
	if other != nil {
		was := given(r.t, other, b.pods, places)
		return len(was) != len(is) || slices.ContainsFunc(slices.Collect(maps.Keys(is)), func(name string) bool {
			return was[name] == nil || was[name]() != is[name]()
		})
	}
	was := b.given(r.t, places)
	if len(was) != len(is) {
		return true
	}
	for _, name := range s.likelyFirst(slices.Sorted(maps.Keys(is))) {
		if was[name] == nil || sha256.Sum256([]byte(is[name]())) != b.digest(fmt.Sprint(places, name), was[name]) {
			return true
		}
	}
	return false
}

// given is what the mesh gives as it is written. What renders it is not for
// many at once.
func (b *base) given(t *testing.T, places bool) map[string]func() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.was[places] == nil {
		b.was[places] = given(t, b.model, b.pods, places)
	}
	return b.was[places]
}

// ofPods says that a site is about the pods of a service, before their proxies.
func (s *site) ofPods() bool {
	return strings.Contains(s.place.field, ".workload.") || strings.Contains(s.place.field, ".labels.")
}

// refusesPods says that some pod of the mesh cannot have a proxy.
func (b *base) refusesPods(t *testing.T) bool {
	given := b.given(t, false)
	return slices.ContainsFunc(slices.Collect(maps.Keys(b.pods)), func(pod string) bool { return strings.HasPrefix(given[pod](), refused) })
}

// likelyFirst puts the files of who a site is about first, and pods last: most
// traces are found there, and all are looked for.
func (s *site) likelyFirst(files []string) []string {
	entry := s
	for entry.above != nil && !slices.Contains([]string{"service.*", "gateway.*", "external.*"}, entry.place.field) {
		entry = entry.above
	}
	rank := func(file string) (n int) {
		if strings.HasSuffix(file, ".json") == s.ofPods() {
			n += 2
		}
		if !strings.Contains(file, "/"+entry.label+"/") && !strings.HasSuffix(file, "/"+entry.label+".json") {
			n++
		}
		return n
	}
	slices.SortStableFunc(files, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return files
}

// digest is that of a file, which is made once.
func (b *base) digest(key string, render func() string) [sha256.Size]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum, known := b.files[key]
	if !known {
		sum = sha256.Sum256([]byte(render()))
		b.files[key] = sum
	}
	return sum
}
