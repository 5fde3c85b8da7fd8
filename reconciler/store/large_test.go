package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func manyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("svc", i)
	}
	return names
}

// BenchmarkSave writes 5,000 services, then a generation with another one
// changed.
func BenchmarkSave(b *testing.B) {
	names := manyNames(5000)
	b.Run("all", func(b *testing.B) {
		for range b.N {
			dir := filepath.Join(b.TempDir(), "state")
			l, err := Open(dir)
			if err == nil {
				err = l.Save(generation("c", names...))
			}
			if err != nil {
				b.Fatal(err)
			}
			_ = l.Close()
		}
	})
	b.Run("one", func(b *testing.B) {
		l, err := Open(filepath.Join(b.TempDir(), "state"))
		if err == nil {
			err = l.Save(generation("c", names...))
		}
		if err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		for i := range b.N {
			g := generation(fmt.Sprint(i), names...)
			g.Mesh.Services[i%len(names)].Owner = fmt.Sprint("owner", i)
			if err := l.Save(g); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		_ = l.Close()
	})
}

func stamps(t *testing.T, dir string) map[string]stamp {
	t.Helper()
	out := map[string]stamp{}
	for _, f := range files(t, dir) {
		s, err := stampOf(f)
		must(t, err)
		out[filepath.Base(f)] = s
	}
	return out
}

func TestOnlyWhatChangedIsWritten(t *testing.T) {
	for _, n := range []int{3, 2 * manyFiles} {
		dir := filepath.Join(t.TempDir(), "state")
		l := openStore(t, dir)
		must(t, l.Save(generation("1", manyNames(n)...)))
		before := stamps(t, dir)
		g := generation("2", manyNames(n)...)
		g.Mesh.Services[1].Owner = "another"
		must(t, l.Save(g))
		written := 0
		for name, s := range stamps(t, dir) {
			if before[name] != s && !strings.HasPrefix(name, "root") {
				written++
			}
		}
		if written != 1 {
			t.Errorf("%d objects of %d were written for one that changed", written, n)
		}
	}
}

// After a restart the commit that serves is saved once more.
func TestSavingTheSameKeepsTheOneBefore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	l := openStore(t, dir)
	must(t, l.Save(generation("old", "a")))
	must(t, l.Save(generation("new", "a", "b")))
	before := stamps(t, dir)
	must(t, l.Close())
	l = openStore(t, dir)
	must(t, l.Save(generation("new", "a", "b")))
	must(t, l.Save(generation("new", "a", "b")))
	after := stamps(t, dir)
	for name, s := range before {
		if after[name] != s {
			t.Errorf("%s was written again", name)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, rootFile), nil, 0o600))
	if g, err := l.Load(); err != nil || g.Commit != "old" {
		t.Errorf("the generation before is %+v, %v", g, err)
	}
}

// An object that somebody damaged is mended by the next save, whether this
// process wrote it or not.
func TestSaveMendsWhatWasDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	l := openStore(t, dir)
	must(t, l.Save(generation("1", "a", "b")))
	objects, err := filepath.Glob(filepath.Join(dir, objectsDir, "*.json"))
	must(t, err)
	for _, reopen := range []bool{false, true} {
		good, err := os.ReadFile(objects[0])
		must(t, err)
		must(t, os.WriteFile(objects[0], bytes.ToUpper(good), 0o600))
		must(t, os.Chtimes(objects[0], time.Now(), time.Now().Add(time.Second)))
		if reopen {
			must(t, l.Close())
			l = openStore(t, dir)
		}
		must(t, l.Save(generation("1", "a", "b")))
		if g, err := l.Load(); err != nil || g.Damage != nil {
			t.Errorf("reopened %v: %+v, %v", reopen, g, err)
		}
	}
}
