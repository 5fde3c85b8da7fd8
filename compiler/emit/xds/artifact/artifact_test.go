package artifact_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/artifact"
	"github.com/meshc/meshc/compiler/model"
)

func ref(namespace, name string) model.Ref { return model.Ref{Namespace: namespace, Name: name} }

func newService(r model.Ref) *model.Service {
	return &model.Service{
		Ref: r, Host: r.Name + "." + r.Namespace, MTLS: model.MTLSStrict, SPIFFEID: "spiffe://td/ns/" + r.Namespace + "/sa/" + r.Name,
		Ports:    []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}},
		Versions: []model.Version{{Name: "v1"}},
	}
}

// mesh has the service "cart" in two namespaces.
func mesh() *model.Mesh {
	return &model.Mesh{
		TrustDomain: "td",
		Services:    []*model.Service{newService(ref("eu", "cart")), newService(ref("us", "cart")), newService(ref("us", "pay"))},
		Gateways:    []*model.Gateway{{Ref: ref("us", "ingress"), Listeners: []model.GatewayListener{{Port: 8080}}}},
	}
}

func TestFileNames(t *testing.T) {
	m := mesh()
	all := xds.DefaultWorkloads(m)
	second := *all[slices.IndexFunc(all, func(w *model.Workload) bool { return w.Service == ref("us", "pay") })]
	second.ID = "pay.v1-1"
	second.Inbound = map[uint16]string{80: "127.0.0.9:80"}
	files, err := artifact.New(m, append(all, &second), xds.Options{Now: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"eu.cart/v1.json", "ingress.json", "pay/v1.json", "pay/v1.pay.v1-1.json", "us.cart/v1.json"}
	if got, err := files.Names(); err != nil || !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	var first bytes.Buffer
	if err := files.Render(&first, "pay/v1.json"); err != nil || !strings.Contains(first.String(), `"node": "sidecar~us/pay.v1-0"`) {
		t.Errorf("the first instance is not in pay/v1.json: %v, %.200s", err, first.String())
	}
	if err := files.Render(&first, "pay/v9.json"); err == nil {
		t.Error("renders a file that no workload has")
	}
}

func TestFileNamesStayInside(t *testing.T) {
	m := mesh()
	m.Services[0].Versions[0].Name = "../../etc"
	if _, err := artifact.New(m, xds.DefaultWorkloads(m), xds.Options{}); err == nil || !strings.Contains(err.Error(), "cannot be the name of a file") {
		t.Errorf("got %v", err)
	}
}

func TestFind(t *testing.T) {
	all := xds.DefaultWorkloads(mesh())
	for name, want := range map[string]string{
		"pay/v1": "pay.v1-0", "us/pay/v1": "pay.v1-0", "eu/cart/v1": "cart.v1-0", "ingress": "ingress-0", "us/ingress": "ingress-0",
	} {
		if w, err := artifact.Find(all, name); err != nil || w.ID != want {
			t.Errorf("%s: %v, %v; want %s", name, w, err, want)
		}
	}
	if _, err := artifact.Find(all, "cart/v1"); !errors.Is(err, artifact.ErrAmbiguous) {
		t.Errorf("cart/v1: %v", err)
	}
	if _, err := artifact.Find(all, "pay/v2"); !errors.Is(err, artifact.ErrNoProxy) || !strings.Contains(err.Error(), "us/pay/v1") {
		t.Errorf("pay/v2: %v", err)
	}
}

func listing(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && path != dir {
			name, _ := filepath.Rel(dir, path)
			out = append(out, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// fixed files; a nil one cannot be rendered.
type fixed map[string][]byte

func (f fixed) Names() ([]string, error) { return slices.Sorted(maps.Keys(f)), nil }

func (f fixed) Render(out *bytes.Buffer, name string) error {
	if f[name] == nil {
		return errBroken
	}
	out.Write(f[name])
	return nil
}

func (fixed) Key(string) (string, error) { return "", nil }

func (fixed) Reached(*artifact.Basis) ([]string, bool) { return nil, false }

func (fixed) Basis() *artifact.Basis { return nil }

var errBroken = errors.New("broken")

func write(t *testing.T, dir string, files map[string][]byte) *artifact.Report {
	t.Helper()
	r, err := artifact.Write(dir, fixed(files))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWriteRemovesOnlyWhatItWrote(t *testing.T) {
	dir := t.TempDir()
	r := write(t, dir, map[string][]byte{"a/v1.json": []byte("1"), "a/v2.json": []byte("2"), "b/v1.json": []byte("3")})
	if len(r.Written) != 3 {
		t.Errorf("%+v", r)
	}
	for _, foreign := range []string{"a/notes.txt", "b/v1.json"} {
		if err := os.WriteFile(filepath.Join(dir, foreign), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := write(t, dir, map[string][]byte{"a/v1.json": []byte("1"), "c/v1.json": []byte("4")})
	want := &artifact.Report{Written: []string{"c/v1.json"}, Unchanged: []string{"a/v1.json"}, Removed: []string{"a/v2.json"}, Kept: []string{"b/v1.json"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{".meshc-manifest.json", "a", "a/notes.txt", "a/v1.json", "b", "b/v1.json", "c", "c/v1.json"}, listing(t, dir)); diff != "" {
		t.Error(diff)
	}
	if r := write(t, dir, nil); !slices.Equal(r.Removed, []string{"a/v1.json", "c/v1.json"}) {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff([]string{".meshc-manifest.json", "a", "a/notes.txt", "b", "b/v1.json"}, listing(t, dir)); diff != "" {
		t.Errorf("an empty directory is left: %s", diff)
	}
}

func TestWriteDoesNotLeaveTheDirectory(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	victim := filepath.Join(outside, "v1.json")
	if err := os.WriteFile(victim, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Write(dir, fixed{"a/v1.json": []byte("2")}); err == nil {
		t.Error("wrote through a link that leads out")
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "1" {
		t.Errorf("%q, %v", got, err)
	}
	for _, name := range []string{"../victim", "/etc/passwd", ".meshc-manifest.json"} {
		bad := t.TempDir()
		if err := os.WriteFile(filepath.Join(bad, ".meshc-manifest.json"), []byte(`{"files":{"`+name+`":"x"}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := artifact.Write(bad, fixed{}); err == nil {
			t.Errorf("a manifest that lists %s is believed", name)
		}
	}
}

// What a Write left behind that was cut short is still known as ours.
func TestWriteKnowsWhatAnInterruptedOneWrote(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"a.json": []byte("1")})
	if _, err := artifact.Write(dir, fixed{"a.json": []byte("2"), "b.json": []byte("3"), "z.json": nil}); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	got := write(t, dir, map[string][]byte{"c.json": []byte("4")})
	if len(got.Kept) > 0 {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]string{".meshc-manifest.json", "c.json"}, listing(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// keyed are fixed files whose key is the content; it counts what is rendered.
type keyed struct {
	fixed
	rendered *atomic.Int64
}

func (k keyed) Key(name string) (string, error) { return string(k.fixed[name]), nil }

func (k keyed) Render(out *bytes.Buffer, name string) error {
	k.rendered.Add(1)
	return k.fixed.Render(out, name)
}

// A file is left alone when its inputs are the same and nobody touched it.
func TestWriteRendersWhatChanged(t *testing.T) {
	dir := t.TempDir()
	run := func(files fixed) (*artifact.Report, int64) {
		k := keyed{files, &atomic.Int64{}}
		r, err := artifact.Write(dir, k)
		if err != nil {
			t.Fatal(err)
		}
		return r, k.rendered.Load()
	}
	if _, n := run(fixed{"a.json": []byte("1"), "b.json": []byte("2"), "c.json": []byte("3")}); n != 3 {
		t.Errorf("%d rendered at first", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "b.json"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, n := run(fixed{"a.json": []byte("1"), "b.json": []byte("2"), "c.json": []byte("4")})
	if n != 2 || !slices.Equal(r.Written, []string{"b.json", "c.json"}) || !slices.Equal(r.Unchanged, []string{"a.json"}) {
		t.Errorf("%d rendered; %+v", n, r)
	}
	for name, want := range map[string]string{"a.json": "1", "b.json": "2", "c.json": "4"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, n := run(fixed{"a.json": []byte("1"), "b.json": []byte("2"), "c.json": []byte("4")}); n != 0 {
		t.Errorf("%d rendered although nothing changed", n)
	}
}

// counts is a renderer that counts what is rendered, and how often all names were
// asked for.
type counts struct {
	*artifact.Renderer
	names    int
	rendered atomic.Int64
}

func (c *counts) Names() ([]string, error) {
	c.names++
	return c.Renderer.Names()
}

func (c *counts) Render(out *bytes.Buffer, name string) error {
	c.rendered.Add(1)
	return c.Renderer.Render(out, name)
}

func keyOf(stage string, content ...[]byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(bytes.Join(content, []byte(stage))))
}

// Files that a difference of services does not reach are left alone, as long as the
// times in the mesh tell the same.
func TestWriteFollowsADifference(t *testing.T) {
	end := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	m := mesh()
	m.Gateways = nil
	m.Services[2].Routes = []*model.Route{{Name: "r", Ports: []uint16{80}, Split: []model.Split{{Version: "v1", BasisPoints: 10000}}, Abort: &model.Abort{Status: 503, BasisPoints: 5000, Until: end}}}
	m.Services[1].Uses = []model.Ref{ref("us", "pay")}
	m.Services[0].Routes = []*model.Route{{Name: "r", Ports: []uint16{80}, Split: []model.Split{{Version: "v1", BasisPoints: 10000}}}}
	edited := *m.Services[0]
	edited.MTLS = model.MTLSPermissive
	second := *m
	second.Services = []*model.Service{&edited, m.Services[1], m.Services[2]}
	dir := t.TempDir()
	for i, step := range []struct {
		what            string
		mesh            *model.Mesh
		name            string
		since           []string
		at              time.Time
		all             int
		rendered        int64
		written, remove string
	}{
		{"first", m, "one", nil, end.Add(-time.Hour), 1, 3, "eu.cart/v1.json us.cart/v1.json pay/v1.json", ""},
		{"nothing", m, "one", []string{"one"}, end.Add(-time.Minute), 0, 0, "", "pay/v1.json"},
		{"a file is gone", m, "one", []string{"one"}, end.Add(-time.Minute), 0, 1, "pay/v1.json", ""},
		{"a service", &second, "two", []string{"one"}, end.Add(-time.Minute), 0, 1, "eu.cart/v1.json", ""},
		{"a name that is not known", &second, "three", []string{"one"}, end.Add(-time.Minute), 1, 0, "", ""},
		{"the fault ends", &second, "three", []string{"three"}, end, 1, 2, "us.cart/v1.json", ""},
		{"later", &second, "three", []string{"three"}, end.Add(time.Hour), 0, 0, "", ""},
		{"the past", &second, "three", []string{"three"}, end.Add(-time.Hour), 1, 2, "us.cart/v1.json", ""},
	} {
		c := &counts{Renderer: artifact.Placed(step.mesh, xds.Options{Now: step.at})}
		c.Keyed(keyOf)
		since := map[string]map[model.Ref]bool{}
		for _, name := range step.since {
			since[name] = map[model.Ref]bool{}
			if name != step.name {
				since[name][ref("eu", "cart")] = true
			}
		}
		c.Named(step.name, since)
		report, err := artifact.Write(dir, c)
		if err != nil {
			t.Fatal(step.what, err)
		}
		want := strings.Fields(step.written)
		slices.Sort(want)
		if c.names != step.all || c.rendered.Load() != step.rendered || !slices.Equal(report.Written, want) && len(want)+len(report.Written) > 0 {
			t.Errorf("%d, %s: names asked for %d times, %d rendered, written %v", i, step.what, c.names, c.rendered.Load(), report.Written)
		}
		if len(report.Written)+len(report.Unchanged) != 3 {
			t.Errorf("%s: %+v", step.what, report)
		}
		if step.remove != "" {
			if err := os.Remove(filepath.Join(dir, step.remove)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
