package store

import (
	"path/filepath"
	"testing"
)

// An object that another process wrote may be in memory alone: that process may
// have been killed before it waited for the disk. A root must not name it before
// it is there.
func TestFoundObjectsAreSettled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	head, configs := split(generation("1", "a"))
	if len(configs) == 0 {
		t.Fatal("no config")
	}
	killed, err := Open(dir)
	must(t, err)
	if _, _, err := killed.saveObject(kindMesh, head); err != nil {
		t.Fatal(err)
	}
	must(t, killed.Close())
	l := openStore(t, dir)
	sum, unsettled, err := l.saveObject(kindMesh, head)
	must(t, err)
	if !unsettled {
		t.Error("an object of unknown origin is taken to be on the disk")
	}
	must(t, l.settle([]string{sum}))
	if _, unsettled, err = l.saveObject(kindMesh, head); err != nil || unsettled {
		t.Errorf("a settled object is settled again: %v", err)
	}
}
