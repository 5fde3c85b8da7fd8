package cache

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T) *Dir {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "cache"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestKeysTellContentsApart(t *testing.T) {
	d := open(t)
	other := &Dir{path: d.path, build: "another"}
	keys := map[string]string{}
	for name, key := range map[string]string{
		"ab":    d.Key("s", []byte("ab")),
		"a,b":   d.Key("s", []byte("a"), []byte("b")),
		"stage": d.Key("t", []byte("ab")),
		"build": other.Key("s", []byte("ab")),
	} {
		if same, ok := keys[key]; ok {
			t.Errorf("%s and %s have one key", name, same)
		}
		keys[key] = name
	}
}

func TestDamagedEntriesAreIgnoredAndRewritten(t *testing.T) {
	d := open(t)
	key := d.Key("s", []byte("x"))
	if _, ok := d.Get(key); ok {
		t.Error("found what nobody put")
	}
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { return nil },
		func(b []byte) []byte { b[40] ^= 1; return b },
		func(b []byte) []byte { b[0] ^= 1; return b },
	} {
		d.Put(key, []byte("a value of some length"))
		if v, ok := d.Get(key); !ok || string(v) != "a value of some length" {
			t.Fatalf("%q, %v", v, ok)
		}
		raw, err := os.ReadFile(d.file(key))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.file(key), damage(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, ok := d.Get(key); ok {
			t.Errorf("a damaged entry gives %q", v)
		}
	}
}

func TestSizeIsBounded(t *testing.T) {
	d := open(t)
	d.limit = 10_000
	old := d.Key("s", []byte("old"))
	d.Put(old, bytes.Repeat([]byte("x"), 1000))
	past := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(d.file(old), past, past); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		d.Put(d.Key("s", fmt.Append(nil, i)), bytes.Repeat([]byte("x"), 1000))
	}
	d.trim()
	var size int64
	files, _ := filepath.Glob(filepath.Join(d.path, "*", "*"))
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > d.limit || len(files) == 0 {
		t.Errorf("%d bytes in %d files", size, len(files))
	}
	if _, ok := d.Get(old); ok {
		t.Error("the oldest is still there")
	}
}

func TestManyUseOneDirectory(t *testing.T) {
	d := open(t)
	d.limit = 5000
	var wg sync.WaitGroup
	for range 4 {
		other, err := Open(d.path)
		if err != nil {
			t.Fatal(err)
		}
		other.limit = d.limit
		wg.Go(func() {
			for i := range 300 {
				key := other.Key("s", fmt.Append(nil, i%17))
				want := bytes.Repeat([]byte{byte(i % 17)}, 600)
				if v, ok := other.Get(key); ok && !bytes.Equal(v, want) {
					t.Errorf("%d: %v", i, v)
				}
				other.Put(key, want)
			}
		})
	}
	wg.Wait()
}

// A directory that holds more than the cache loses nothing of that, however
// large and old it is.
func TestOnlyEntriesAreThrownAway(t *testing.T) {
	d := open(t)
	d.limit = 100
	foreign := []string{"notes.txt", "src/main.go", "ab/notes.txt", "ab/new-/x", "new-1", "new-dir/file", "ab/cd/" + d.Key("s")[2:]}
	old := time.Now().Add(-time.Hour)
	for _, name := range foreign {
		file := filepath.Join(d.path, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	first, left := d.Key("s", []byte("first")), filepath.Join(d.path, "cd", "new-2")
	d.Put(first, make([]byte, 200))
	if err := os.MkdirAll(filepath.Dir(left), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, make([]byte, 200), 0o600); err != nil {
		t.Fatal(err)
	}
	d.trim()
	for _, name := range foreign {
		if _, err := os.Stat(filepath.Join(d.path, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
	if _, ok := d.Get(first); ok {
		t.Error("the entry is still there")
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed process left is still there")
	}
}

func TestPartsAreOneValueOrNone(t *testing.T) {
	d := open(t)
	key := d.Key("s", []byte("x"))
	d.PutParts(key, slices.Values([][]byte{[]byte("ab"), nil, []byte("c")}))
	if v, ok := d.Get(key); !ok || string(v) != "abc" {
		t.Errorf("%q, %v", v, ok)
	}
	func() {
		defer func() { _ = recover() }()
		d.PutParts(key, func(yield func([]byte) bool) {
			yield([]byte("half"))
			panic("cannot be made")
		})
		t.Error("the panic is lost")
	}()
	if v, ok := d.Get(key); !ok || string(v) != "abc" {
		t.Errorf("after a panic: %q, %v", v, ok)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(d.file(key)), tempPrefix+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
}
