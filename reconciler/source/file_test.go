package source

import (
	"errors"
	"io/fs"
	"testing"
)

func TestFileOfACommit(t *testing.T) {
	repo := newTestRepo(t)
	old := repo.commit("mesh/local.yaml", "one", "mesh/large", "0123456789abcdef")
	repo.commit("mesh/local.yaml", "two")
	repo.write("mesh/local.yaml", "not committed")
	r := open(t, repo.dir, Options{Limits: Limits{FileBytes: 10}})
	for commit, want := range map[string]string{old: "one", repo.git("rev-parse", "HEAD"): "two"} {
		if got, err := r.File(t.Context(), Commit{Hash: commit}, "mesh/local.yaml"); err != nil || string(got) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	for name, want := range map[string]error{
		"mesh/none": fs.ErrNotExist, "none/local.yaml": fs.ErrNotExist, "mesh": ErrRefused,
		"mesh/local.yaml/x": ErrRefused, "mesh/large": ErrLimit,
	} {
		if _, err := r.File(t.Context(), Commit{Hash: old}, name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if _, err := r.File(t.Context(), Commit{Hash: old}, "../mesh/local.yaml"); err == nil {
		t.Error("a path out of the repository was taken")
	}
	if _, err := open(t, "https://127.0.0.1/x", Options{}).File(t.Context(), Commit{Hash: old}, "x"); err == nil {
		t.Error("a remote repository was asked")
	}
}
