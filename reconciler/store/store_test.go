package store

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/model/modeltest"
	"github.com/meshc/meshc/reconciler/status"
)

func generation(commit string, services ...string) *Generation {
	m := &model.Mesh{Name: "m", TrustDomain: "cluster.local", Externals: []*model.External{{Ref: model.Ref{Namespace: "default", Name: "api"}}}}
	for _, name := range services {
		m.Services = append(m.Services, &model.Service{
			Ref:    model.Ref{Namespace: "default", Name: name},
			Routes: []*model.Route{{Name: "rest", Timeout: 3 * time.Second, Split: []model.Split{{Version: "v1", BasisPoints: 10_000}}}},
		})
	}
	m.Gateways = []*model.Gateway{{Ref: model.Ref{Namespace: "default", Name: "edge"}}}
	return &Generation{Commit: commit, Spec: Spec{Repository: "/r", Ref: "main", Path: "."}, Mesh: m}
}

func openStore(t *testing.T, dir string) *Local {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsSavedIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	l := openStore(t, dir)
	if _, err := l.Load(); !errors.Is(err, ErrNothing) {
		t.Errorf("empty store: %v", err)
	}
	if _, err := l.LoadStatus(); !errors.Is(err, ErrNothing) {
		t.Errorf("empty store: %v", err)
	}
	if _, err := Fingerprint(dir); !errors.Is(err, ErrNothing) {
		t.Errorf("empty store: %v", err)
	}
	seen := map[string]bool{}
	for i, services := range [][]string{{"a"}, {"a", "b"}, {"b"}} {
		want := generation(fmt.Sprint("commit", i), services...)
		must(t, l.Save(want))
		print, err := Fingerprint(dir)
		must(t, err)
		if seen[print] {
			t.Errorf("%s has the fingerprint of another generation", want.Commit)
		}
		seen[print] = true
		got, err := l.Load()
		must(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	m, commit, err := Serving(dir) // another process
	if err != nil || commit != "commit2" || len(m.Services) != 1 {
		t.Errorf("serving: %s %v", commit, err)
	}
	st := &status.Status{Repository: "/r", Serving: &status.Serving{Commit: "commit2"}}
	must(t, l.SaveStatus(st))
	if got, err := ReadStatus(dir); err != nil || !cmp.Equal(st, got) {
		t.Errorf("status: %v", err)
	}
}

func TestModesAndLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	l := openStore(t, dir)
	must(t, l.Save(generation("c", "a")))
	must(t, l.SaveStatus(&status.Status{}))
	must(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if want := map[bool]os.FileMode{true: 0o700, false: 0o600}[info.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}))
	if _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second writer: %v", err)
	}
	must(t, l.Close())
	must(t, os.Chmod(dir, 0o777))
	if _, err := Open(dir); err == nil {
		t.Error("a directory writable by all was taken")
	}
}

func TestObjectsAreSharedAndCleared(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	l := openStore(t, dir)
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("svc", i))
	}
	must(t, l.Save(generation("1", names...)))
	for i := range 10 {
		g := generation(fmt.Sprint("n", i), names...)
		g.Mesh.Services[0].Owner = fmt.Sprint("owner", i)
		must(t, l.Save(g))
	}
	entries, err := os.ReadDir(filepath.Join(dir, objectsDir))
	must(t, err)
	if len(entries) != 23 { // mesh, gateway, 20 services, one more of the generation before
		t.Errorf("%d objects are kept", len(entries))
	}
}

// TestEveryDamagedFileIsNamedAndTheGenerationBeforeServes damages each file of
// the newest generation in each way.
func TestEveryDamagedFileIsNamedAndTheGenerationBeforeServes(t *testing.T) {
	damages := map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"half":      func(b []byte) []byte { return b[:len(b)/2] },
		"bit flip":  func(b []byte) []byte { b[len(b)*2/3] ^= 1; return b },
		"garbage":   func([]byte) []byte { return []byte("\x00\xff{") },
		"more":      func(b []byte) []byte { return append(b, []byte(`{"x":1}`)...) },
		"version":   func(b []byte) []byte { return []byte(strings.Replace(string(b), "v1alpha1", "v9", 1)) },
		"kind":      func(b []byte) []byte { return []byte(strings.Replace(string(b), `"kind":"`, `"kind":"X`, 1)) },
		"removed":   nil,
		"directory": nil,
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Chmod(dir, 0o700))
			l := openStore(t, dir)
			must(t, l.Save(generation("old", "a")))
			old := map[string]bool{}
			for _, f := range files(t, dir) {
				old[f] = true
			}
			g := generation("new", "b", "c")
			g.Mesh.Name = "renamed"
			must(t, l.Save(g))
			for _, f := range files(t, dir) {
				if old[f] && filepath.Base(f) != rootFile || filepath.Base(f) == prevFile {
					continue
				}
				good, err := os.ReadFile(f)
				must(t, err)
				must(t, os.Remove(f))
				switch {
				case damage != nil:
					must(t, os.WriteFile(f, damage(append([]byte{}, good...)), 0o600))
				case name == "directory":
					must(t, os.Mkdir(f, 0o700))
				}
				got, err := l.Load()
				if err != nil || got.Commit != "old" || got.Damage == nil || !strings.Contains(got.Damage.Error(), filepath.Base(f)) {
					t.Errorf("%s: %+v, %v", filepath.Base(f), got, err)
				}
				must(t, os.RemoveAll(f))
				must(t, os.WriteFile(f, good, 0o600))
			}
			if got, err := l.Load(); err != nil || got.Commit != "new" {
				t.Errorf("mended: %v", err)
			}
		})
	}
}

func TestADamagedNewestDoesNotReplaceAGoodPrevious(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	l := openStore(t, dir)
	must(t, l.Save(generation("1", "a")))
	must(t, l.Save(generation("2", "b")))
	must(t, os.WriteFile(filepath.Join(dir, rootFile), []byte("x"), 0o600))
	must(t, l.Save(generation("3", "c")))
	must(t, os.WriteFile(filepath.Join(dir, rootFile), []byte("x"), 0o600))
	if g, err := l.Load(); err != nil || g.Commit != "1" {
		t.Errorf("%+v %v", g, err)
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	roots, err := filepath.Glob(filepath.Join(dir, "root*.json"))
	must(t, err)
	objects, err := filepath.Glob(filepath.Join(dir, objectsDir, "*.json"))
	must(t, err)
	return append(roots, objects...)
}

// TestModelRoundTrip fills every field of the model with values, so that a
// field that does not survive JSON (unexported, tagged away, doubled) is found.
func TestModelRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := *modeltest.Draw(t)
		data, _, err := seal(kindMesh, &m)
		if err != nil {
			t.Fatal(err)
		}
		var back model.Mesh
		if _, err := unseal(data, kindMesh, &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, back, cmpopts.EquateComparable(netip.Prefix{})); d != "" {
			t.Fatal(d)
		}
	})
}

// TestGenerationsAreWhole: what a generation is taken apart into makes the same
// generation again, so that no field of a mesh is lost over a restart.
func TestGenerationsAreWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := *modeltest.Draw(t)
		head, configs := split(&Generation{Commit: "c", Mesh: &m})
		back, err := join("c", head, configs)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&m, back.Mesh, cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	data, _, _ := seal(kindRoot, root{Commit: "c"})
	f.Add(data)
	f.Add([]byte(`{"apiVersion":"meshc.dev/v1alpha1","kind":"Root","spec":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r root
		if _, err := unseal(data, kindRoot, &r); err == nil {
			if again, _, err := seal(kindRoot, r); err != nil || len(again) == 0 {
				t.Fatal(err)
			}
		} else if !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	})
}
