package source

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
)

// TestHistory is held against git rev-list.
func TestHistory(t *testing.T) {
	r := newTestRepo(t)
	first := r.commit("mesh/a.cue", "1")
	second := r.commit("mesh/a.cue", "2")
	r.git("checkout", "-q", "-b", "side", first)
	side := r.commit("mesh/b.cue", "1")
	r.git("checkout", "-q", "main")
	r.git("merge", "-q", "--no-ff", "-m", "merge", "side")
	merge := r.git("rev-parse", "HEAD")
	last := r.commit("elsewhere", "1")
	repo := open(t, r.dir, Options{})

	all, err := repo.History(t.Context(), "mesh", "", last)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []string
	trees := map[string]string{}
	for _, e := range all {
		hashes = append(hashes, e.Hash)
		trees[e.Hash] = e.Tree
	}
	if hashes[0] != last || hashes[1] != merge || hashes[4] != first || len(hashes) != 5 {
		t.Errorf("%v", hashes)
	}
	if trees[last] != trees[merge] || trees[merge] == trees[second] || trees[merge] != r.git("rev-parse", merge+":mesh") {
		t.Errorf("%v", trees)
	}
	if !slices.Equal(all[1].Parents, []string{second, side}) || all[1].Subject != "merge" || all[1].Author != "a" {
		t.Errorf("%+v", all[1])
	}

	some, err := repo.History(t.Context(), "nowhere", second, last)
	if err != nil || len(some) != 3 || some[2].Hash != side || some[0].Tree != "" {
		t.Errorf("%v %+v", err, some)
	}
	if none, err := repo.History(t.Context(), "mesh", last, first); err != nil || len(none) != 0 {
		t.Errorf("%v %+v", err, none)
	}
	if _, err := repo.History(t.Context(), "mesh", "", "0123456789012345678901234567890123456789"); !errors.Is(err, ErrUnknowable) {
		t.Error(err)
	}
	if _, err := open(t, "https://git.example/mesh.git", Options{}).History(t.Context(), "mesh", "", last); !errors.Is(err, ErrRemote) {
		t.Error(err)
	}
}

// TestFromFiles: what loads go by to tell one tree from another is another one
// for other content.
func TestFromFiles(t *testing.T) {
	fsys := FromFiles(map[string][]byte{"a/b/c": []byte("1"), "a/d": nil, "e": []byte("2")})
	if err := fstest.TestFS(fsys, "a/b/c", "a/d", "e"); err != nil {
		t.Error(err)
	}
	name := func(fsys fs.FS, path string) any {
		info, err := fs.Stat(fsys, path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys()
	}
	other := FromFiles(map[string][]byte{"a/b/c": []byte("3"), "a/d": nil, "e": []byte("2")})
	for path, same := range map[string]bool{".": false, "a": false, "a/b": false, "a/b/c": false, "a/d": true, "e": true} {
		if (name(fsys, path) == name(other, path)) != same {
			t.Errorf("%s: the same name of its content: %v", path, !same)
		}
	}
}
