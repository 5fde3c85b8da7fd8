package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRewrite(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.cue")
	if err := os.WriteFile(name, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(name, []byte("another"), []byte("new")); err == nil {
		t.Error("a file that somebody changed is overwritten")
	}
	if data, _ := os.ReadFile(name); string(data) != "old" {
		t.Errorf("%q", data)
	}
	if err := rewrite(name, []byte("old"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if data, _ := os.ReadFile(name); string(data) != "new" || err != nil || len(entries) != 1 {
		t.Errorf("%q, %v", data, entries)
	}
}
