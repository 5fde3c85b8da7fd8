package store

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// smallDisk is a file system of a megabyte.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a file system cannot be mounted here, and CI needs it: %v", err)
		}
		t.Skipf("SKIPPED, NOT PASSED: a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	return dir
}

// fill writes until there is no room.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	must(t, err)
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk does not get full: %v", err)
	}
	must(t, f.Close())
	return func() { must(t, os.Remove(name)) }
}

// TestADiskThatIsFull keeps what was saved; what was not is
// saved when there is room.
func TestADiskThatIsFull(t *testing.T) {
	dir := smallDisk(t)
	state := filepath.Join(dir, "state")
	s, err := Open(state)
	must(t, err)
	defer s.Close()
	one, two := generation("1", "a"), generation("2", "a", "b")
	must(t, s.Save(one))
	free := fill(t, dir)
	if err := s.Save(two); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("saved on a full disk: %v", err)
	}
	if got, err := s.Load(); err != nil || got.Damage != nil || cmp.Diff(one, got) != "" {
		t.Errorf("on a full disk: %v %s", err, cmp.Diff(one, got))
	}
	free()
	must(t, s.Save(two))
	got, err := s.Load()
	must(t, err)
	if d := cmp.Diff(two, got); d != "" {
		t.Error(d)
	}
}
