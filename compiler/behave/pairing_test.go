package behave_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/soak"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// rename gives services, externals and gateways of m other names, and no other host
// or identity.
func rename(m *model.Mesh, to map[model.Ref]model.Ref) {
	each(m, func(r *model.Ref) {
		if other, ok := to[*r]; ok {
			*r = other
		}
	})
	byRef := func(a, b model.Ref) int { return a.Compare(b) }
	slices.SortFunc(m.Services, func(a, b *model.Service) int { return byRef(a.Ref, b.Ref) })
	slices.SortFunc(m.Externals, func(a, b *model.External) int { return byRef(a.Ref, b.Ref) })
	slices.SortFunc(m.Gateways, func(a, b *model.Gateway) int { return byRef(a.Ref, b.Ref) })
	callers := func(list []model.Caller) {
		slices.SortFunc(list, func(a, b model.Caller) int { return byRef(a.Ref, b.Ref) })
	}
	each(m, func(s *model.Service) { slices.SortFunc(s.Uses, byRef) })
	each(m, func(r *model.Route) { callers(r.From) })
	each(m, func(f *model.FaultScope) { callers(f.From) })
}

// entryRefs are the names of services and externals.
func entryRefs(m *model.Mesh) []model.Ref {
	var out []model.Ref
	for _, s := range m.Services {
		out = append(out, s.Ref)
	}
	for _, e := range m.Externals {
		out = append(out, e.Ref)
	}
	return out
}

// renamings are ways to call entries otherwise.
var renamings = map[string]func(*rand.Rand, *model.Mesh) map[model.Ref]model.Ref{
	"services and externals get new names": func(_ *rand.Rand, m *model.Mesh) map[model.Ref]model.Ref {
		out := map[model.Ref]model.Ref{}
		for i, ref := range entryRefs(m) {
			out[ref] = model.Ref{Namespace: []string{ref.Namespace, "elsewhere"}[i%2], Name: ref.Name + "-2"}
		}
		return out
	},
	"services and externals swap names": func(rng *rand.Rand, m *model.Mesh) map[model.Ref]model.Ref {
		out := map[model.Ref]model.Ref{}
		all := entryRefs(m)
		others := slices.Clone(all)
		shuffle(rng, others)
		for i, ref := range all {
			out[ref] = others[i]
		}
		return out
	},
	"one service has the name of another, which has a new one": func(rng *rand.Rand, m *model.Mesh) map[model.Ref]model.Ref {
		all := entryRefs(m)
		if len(all) < 2 {
			return nil
		}
		shuffle(rng, all)
		return map[model.Ref]model.Ref{all[0]: all[1], all[1]: {Namespace: all[1].Namespace, Name: "z-" + all[1].Name}}
	},
	"gateways get new names": func(_ *rand.Rand, m *model.Mesh) map[model.Ref]model.Ref {
		out := map[model.Ref]model.Ref{}
		for _, g := range m.Gateways {
			out[g.Ref] = model.Ref{Namespace: g.Namespace, Name: "a-" + g.Name}
		}
		return out
	},
}

func init() {
	for name, names := range renamings {
		refactorings[name] = func(rng *rand.Rand, m *model.Mesh) { rename(m, names(rng, m)) }
	}
}

// summary of a report, without names of before.
func summary(r *behave.Report) []string {
	var out []string
	for _, o := range r.Objects {
		text := fmt.Sprintf("%v %v %v %d/%d", o.Name, o.Classes, o.Unknown, o.Differ, o.Regions)
		for _, c := range o.Changes {
			text += fmt.Sprintf("\n  %d %v %v %s %v %v %v", c.Port, c.Classes, c.Words, c.Witness, c.From, c.Callers, c.Route)
			for _, d := range c.Deltas {
				text += fmt.Sprintf("\n    %s %s %q %q", d.Class, d.Name, d.Before, d.After)
			}
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// TestRenamedAndChanged: whatever else changes, that entries have other names adds
// nothing to it and takes nothing from it. The oracle renames the mesh before as
// well, so that all names agree.
func TestRenamedAndChanged(t *testing.T) {
	meshes := []fs.FS{os.DirFS("../../examples/bookinfo/mesh")}
	share := 200
	if soak.On() {
		share = 10
	}
	for seed := range uint64(4) {
		meshes = append(meshes, gen.Mesh(seed).FS())
	}
	tried, differ := 0, 0
	for i, files := range meshes {
		before := compiled(t, files)
		rng := rand.New(rand.NewPCG(uint64(i), 7))
		all := mutations(t, before)
		if i > 0 {
			all = oneIn(share)(rng, all)
		} else {
			all = ofEach(1, 4)(rng, all)
		}
		for _, mu := range all {
			after := clone(t, mu.make(before))
			faulted(before, after)
			if !sound(after) {
				continue
			}
			for _, how := range []string{"services and externals get new names", "services and externals swap names"} {
				names := renamings[how](rng, before)
				renamed, now := clone(t, before), clone(t, after)
				rename(renamed, names)
				rename(now, names)
				tried++
				want, got := summary(behave.Meshes(renamed, now)), summary(behave.Meshes(before, now))
				if len(want) > 0 {
					differ++
				}
				if !slices.Equal(want, got) {
					t.Fatalf("mesh %d, %s, %s:\n%s\n\nand by names alike\n\n%s", i, mu.where, how, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				sameAccess(t, mu.where, renamed, before, now)
			}
		}
	}
	t.Logf("%d mutations of renamed meshes, %d of which change behaviour", tried, differ)
	if differ == 0 {
		t.Error("nothing was changed")
	}
}

// sameAccess: who reaches an entry changes in the same way, whatever the names were.
func sameAccess(t *testing.T, where string, renamed, before, now *model.Mesh) {
	t.Helper()
	text := func(a *behave.Access) string {
		out := fmt.Sprint(a.Name, a.Unknown)
		for _, e := range a.Entries {
			out += fmt.Sprintf("\n%s %d %d %v %v %v %v %s", e.Way, e.Port, e.Gate, e.Who, e.Before, e.After, e.Words, e.Witness)
		}
		return out
	}
	for i, ref := range entryRefs(now) {
		if i%5 != 0 {
			continue
		}
		if got, want := text(behave.CompareAccess(before, now, ref)), text(behave.CompareAccess(renamed, now, ref)); got != want {
			t.Errorf("%s: %s\nand by names alike\n%s", where, got, want)
		}
	}
}

// TestHostsChangePlaces: two services swap their hosts, and keep names, workloads
// and rules. Each witness is treated differently at the host that it is for, and
// where nothing is reported no request is.
func TestHostsChangePlaces(t *testing.T) {
	meshes := uint64(6)
	if soak.On() {
		meshes = 60
	}
	witnesses, requests := 0, 0
	for seed := range meshes {
		before := compiled(t, gen.Mesh(seed).FS())
		if len(before.Services) < 2 {
			continue
		}
		rng := rand.New(rand.NewPCG(seed, 3))
		after := clone(t, before)
		i := rng.IntN(len(after.Services) - 1)
		a, b := after.Services[i], after.Services[i+1]
		a.Host, b.Host = b.Host, a.Host
		each(after, func(m *model.Mirror) {
			if m.Elsewhere() {
				m.Host = after.Service(m.Service).Host
			}
		})
		r := behave.Meshes(before, after)
		for _, o := range r.Objects {
			was := wasNamed(o.Name, o.Was)
			if o.Origin[0].IsZero() {
				was = nobody
			}
			is := o.Name
			if o.Origin[1].IsZero() {
				is = nobody
			}
			for _, c := range o.Changes {
				if strings.HasPrefix(c.Deltas[0].Name, "caller ") {
					continue
				}
				witnesses++
				was, is := judge(before, was, c.Witness), judge(after, is, c.Witness)
				if was.text() == is.text() {
					t.Errorf("seed %d, %v: %s is treated alike: %+v\n%s", seed, o.Name, c.Witness, c.Deltas, was.text())
				}
			}
		}
		for _, name := range r.Same {
			was, _ := r.Was(name)
			from := askable(name, after, after)
			for range 100 {
				q := from.draw(rng)
				requests++
				if b, a := judge(before, wasNamed(name, was), q), judge(after, name, q); b.text() != a.text() && !r.Unknown() {
					t.Errorf("seed %d: %v is said to be the same, but %s\nbefore %s\nafter  %s", seed, name, q, b.text(), a.text())
				}
			}
		}
	}
	t.Logf("%d witnesses, %d requests", witnesses, requests)
	if witnesses == 0 {
		t.Error("nothing differs")
	}
}

// nobody is the name of nothing.
var nobody = behave.Name{Kind: behave.ServiceKind, Ref: model.Ref{Namespace: "~", Name: "nobody"}}

func wasNamed(n behave.Name, was model.Ref) behave.Name {
	if was != (model.Ref{}) {
		n.Ref = was
	}
	return n
}

// edited is Bookinfo with texts in the place of others, and a file of its own.
func edited(t *testing.T, edits ...string) *model.Mesh {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS("../../examples/bookinfo/mesh"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile("../../examples/bookinfo/mesh/" + path)
		out[path] = &fstest.MapFile{Data: raw}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(edits); i += 2 {
		if edits[i] == "" {
			out["shop/more.cue"] = &fstest.MapFile{Data: []byte("package mesh\n" + edits[i+1] + "\n")}
			continue
		}
		found := false
		for path, f := range out {
			if text := string(f.Data); strings.HasSuffix(path, ".cue") && strings.Contains(text, edits[i]) {
				f.Data, found = []byte(strings.ReplaceAll(text, edits[i], edits[i+1])), true
			}
		}
		if !found {
			t.Fatalf("Bookinfo does not say %q", edits[i])
		}
	}
	return compiled(t, out)
}

// toRatings2 calls ratings otherwise, and keeps its host and identity.
var toRatings2 = []string{
	`"ratings"`, `"ratings2"`, "uses: ratings: {}", "uses: ratings2: {}",
	"service: ratings: {", `service: ratings2: {host: "ratings.default.svc.cluster.local", serviceAccount: "ratings"`,
}

const (
	twoPorts = `external: e1: {host: "api.example.com", ports: {https: {number: 443, protocol: "http"}, plain: {number: 80, protocol: "http"}}}
service: caller: {versions: v1: {}, uses: e1: {}}`
	portEach = `external: e1: {host: "api.example.com", ports: https: {number: 443, protocol: "http"}}
external: e3: {host: "api.example.com", ports: plain: {number: 80, protocol: "http"}}
service: caller: {versions: v1: {}, uses: {e1: {}, e3: {}}}`
)

// TestSameHostOtherName: names are nothing that a request can tell.
func TestSameHostOtherName(t *testing.T) {
	external := func(name string) []string {
		return []string{"", fmt.Sprintf("external: %[1]s: {host: \"api.example.com\", ports: https: {number: 443, protocol: \"http\"}}\nservice: caller: {versions: v1: {}, uses: %[1]s: {}}", name)}
	}
	for name, c := range map[string]struct {
		before, after []string
		renamed       string
	}{
		"a service":             {nil, toRatings2, "service default/ratings2 was default/ratings"},
		"an external":           {external("e1"), external("e2"), "external default/e2 was default/e1"},
		"an external is split":  {[]string{"", twoPorts}, []string{"", portEach}, "external default/e3 was default/e1"},
		"two externals are one": {[]string{"", portEach}, []string{"", twoPorts}, "external default/e1 was default/e3"},
		"a gateway":             {nil, []string{"gateway: ingress: {", "gateway: door: {serviceAccount: \"ingress\"", `"ingress"]`, `"door"]`}, "gateway default/door was default/ingress"},
		"a service that calls":  {nil, []string{`"reviews"`, `"opinions"`, "reviews: {}}", "opinions: {}}", "service: reviews: {", "service: opinions: {host: \"reviews.default.svc.cluster.local\", serviceAccount: \"reviews\""}, "service default/opinions was default/reviews"},
	} {
		t.Run(name, func(t *testing.T) {
			r := behave.Meshes(edited(t, c.before...), edited(t, c.after...))
			if !r.Equal() {
				t.Errorf("%v", summary(r))
			}
			var was []string
			for _, n := range r.Same {
				if old, ok := r.Was(n); ok {
					was = append(was, fmt.Sprintf("%s %s was %s", n.Kind, n.Ref, old))
				}
			}
			if !reflect.DeepEqual(was, []string{c.renamed}) {
				t.Errorf("%v", was)
			}
		})
	}
}

// TestRenamedAndOpened: DELETE was denied and is not, which is no change from
// nothing to something, and GET is answered as before.
func TestRenamedAndOpened(t *testing.T) {
	open := append(slices.Clone(toRatings2), `allow: [{from: ["reviews"], methods: ["GET"]}]`, `allow: [{from: ["*"]}]`)
	r := behave.Meshes(edited(t), edited(t, open...))
	if len(r.Objects) != 1 || r.Objects[0].Ref.Name != "ratings2" || r.Objects[0].Was.Name != "ratings" || !slices.Equal(r.Classes(), []behave.Class{behave.Expose}) {
		t.Fatalf("%v", summary(r))
	}
	for _, c := range r.Objects[0].Changes {
		if c.Before.Verdict != behave.Denied || c.After.Verdict != behave.Served || c.Witness.Method == "GET" && strings.HasSuffix(c.Witness.Identity, "/reviews") {
			t.Errorf("%s: %v → %v", c.Witness, c.Before, c.After)
		}
	}
}

// TestOtherHostSameName: who asks for the old host gets no answer, whatever the
// name is that the new host has.
func TestOtherHostSameName(t *testing.T) {
	r := behave.Meshes(edited(t), edited(t, "service: ratings: {", `service: ratings: {host: "new.example"`))
	found := map[string][]behave.Class{}
	for _, o := range r.Objects {
		for _, c := range o.Changes {
			found[c.Witness.Host] = append(found[c.Witness.Host], c.Classes...)
		}
		if o.Ref.Name != "ratings" {
			t.Errorf("%v", o.Name)
		}
	}
	if !slices.Contains(found["ratings.default.svc.cluster.local"], behave.Blackhole) || slices.Contains(found["new.example"], behave.Blackhole) || len(found["new.example"]) == 0 {
		t.Errorf("%v", summary(r))
	}
}

// TestServiceBecomesExternal: by the host that is asked for, what was answered
// within the mesh is answered without mutual TLS by somebody else.
func TestServiceBecomesExternal(t *testing.T) {
	outside := edited(t, "service: ratings: {", "external: ratings: {", "versions: v1: {}\n\troutes: all: to: v1: 100\n\tsecurity: {mtls: \"strict\", allow: [{from: [\"reviews\"], methods: [\"GET\"]}]}",
		"host: \"ratings.default.svc.cluster.local\"", "\towner: \"team-catalog\"\n\tports: http: {number: 9080, protocol: \"http\"}\n\thost", "\tports: http: {number: 9080, protocol: \"http\"}\n\thost",
		`ratings: {services: ["ratings"], notReachedFrom: ["ingress"], exceptThrough: ["reviews"]}`, "", `, "ratings"]`, "]")
	r := behave.Meshes(edited(t), outside)
	if len(r.Objects) != 1 || r.Objects[0].Kind != behave.ExternalKind || slices.Contains(r.Classes(), behave.Blackhole) || !slices.Contains(r.Classes(), behave.Weaken) {
		t.Errorf("%v", summary(r))
	}
}
