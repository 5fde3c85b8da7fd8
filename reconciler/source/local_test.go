package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCommittedStateIsReadAndNeverTheWorkTree(t *testing.T) {
	r := newTestRepo(t)
	want := r.commit("mesh/a.cue", "committed", "mesh/sub/b.cue", "b", "other.txt", "x")
	r.write("mesh/a.cue", "dirty")
	r.write("mesh/untracked.cue", "new")
	r.git("add", "mesh/a.cue") // staged is not committed either

	repo := open(t, r.dir, Options{})
	c := head(t, repo, "main")
	if c.Hash != want || c.Ref != "refs/heads/main" {
		t.Fatalf("head = %+v, want %s", c, want)
	}
	tree, err := repo.Tree(t.Context(), c, "mesh")
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(tree, "a.cue", "sub/b.cue"); err != nil {
		t.Fatal(err)
	}
	if data, _ := fs.ReadFile(tree, "a.cue"); string(data) != "committed" {
		t.Errorf("a.cue = %q", data)
	}
	for _, hidden := range []string{"untracked.cue", "other.txt", "../other.txt"} {
		if _, err := fs.Stat(tree, hidden); err == nil {
			t.Errorf("%s is visible", hidden)
		}
	}
}

func TestTreeOutlivesItsObjects(t *testing.T) {
	r := newTestRepo(t)
	r.commit("a.cue", "one")
	repo := open(t, r.dir, Options{})
	tree, err := repo.Tree(t.Context(), head(t, repo, "main"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(r.dir, ".git")); err != nil {
		t.Fatal(err)
	}
	if data, err := fs.ReadFile(tree, "a.cue"); err != nil || string(data) != "one" {
		t.Errorf("a.cue = %q, %v", data, err)
	}
}

func TestLocalFormsOfRepositoryReadTheSame(t *testing.T) {
	r := newTestRepo(t)
	want := r.commit("a.cue", strings.Repeat("same line\n", 200))
	want = r.commit("a.cue", strings.Repeat("same line\n", 200)+"more\n")
	bare := filepath.Join(t.TempDir(), "bare.git")
	r.git("clone", "-q", "--bare", r.dir, bare)
	worktree := filepath.Join(t.TempDir(), "wt")
	r.git("worktree", "add", "-q", worktree, "-b", "side")
	packed := filepath.Join(t.TempDir(), "packed")
	r.git("clone", "-q", r.dir, packed)
	(&testRepo{t: t, dir: packed}).git("gc", "-q", "--aggressive")
	shared := filepath.Join(t.TempDir(), "shared")
	r.git("clone", "-q", "--shared", r.dir, shared)

	for name, dir := range map[string]string{"work tree": r.dir, "bare": bare, "linked work tree": worktree, "packed": packed, "alternates": shared, "git directory": r.dir + "/.git"} {
		t.Run(name, func(t *testing.T) {
			repo := open(t, dir, Options{})
			c := head(t, repo, "HEAD")
			tree, err := repo.Tree(t.Context(), c, ".")
			if err != nil {
				t.Fatal(err)
			}
			data, err := fs.ReadFile(tree, "a.cue")
			if err != nil || c.Hash != want || !strings.HasSuffix(string(data), "more\n") {
				t.Errorf("%s: %d bytes, %v", c.Hash, len(data), err)
			}
		})
	}
}

func TestReferenceNames(t *testing.T) {
	r := newTestRepo(t)
	first := r.commit("a.cue", "1")
	r.git("tag", "light")
	r.git("tag", "-a", "annotated", "-m", "x")
	r.git("tag", "both")
	second := r.commit("a.cue", "2")
	r.git("branch", "both")
	r.git("branch", "feature/deep")

	repo := open(t, r.dir, Options{})
	for ref, want := range map[string]Commit{
		"main":                 {"refs/heads/main", second},
		"feature/deep":         {"refs/heads/feature/deep", second},
		"refs/heads/both":      {"refs/heads/both", second},
		"refs/tags/both":       {"refs/tags/both", first},
		"light":                {"refs/tags/light", first},
		"annotated":            {"refs/tags/annotated", first},
		"refs/tags/annotated":  {"refs/tags/annotated", first},
		"HEAD":                 {"HEAD", second},
		first:                  {first, first},
		"refs/heads/../tags/x": {},
		"both":                 {},
		"absent":               {},
		"-x":                   {},
		"":                     {},
	} {
		got, err := repo.Head(t.Context(), ref)
		if want.Hash == "" {
			if err == nil {
				t.Errorf("%q resolved to %+v", ref, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q = %+v, %v; want %+v", ref, got, err, want)
		}
	}
	if _, err := repo.Head(t.Context(), "both"); !errors.Is(err, ErrAmbiguousRef) || !strings.Contains(err.Error(), "refs/tags/both") {
		t.Errorf("ambiguous: %v", err)
	}
	if _, err := repo.Head(t.Context(), "absent"); !errors.Is(err, ErrRefNotFound) {
		t.Errorf("absent: %v", err)
	}
}

func TestRefusedTreesNameThePath(t *testing.T) {
	cases := map[string]struct {
		build func(r *testRepo)
		dir   string
		limit Limits
		want  error
		names string
	}{
		"symlink to a file": {build: func(r *testRepo) {
			_ = os.Symlink("a.cue", filepath.Join(r.dir, "mesh", "link.cue"))
		}, want: ErrRefused, names: `"mesh/link.cue" is a symbolic link`},
		"symlink as the directory": {build: func(r *testRepo) {
			_ = os.Symlink("mesh", filepath.Join(r.dir, "alias"))
		}, dir: "alias", want: ErrRefused, names: `"alias" is a symbolic link`},
		"submodule": {build: func(r *testRepo) {
			r.git("update-index", "--add", "--cacheinfo", "160000,"+r.git("rev-parse", "HEAD")+",mesh/sub")
			r.git("commit", "-q", "-m", "submodule")
		}, want: ErrRefused, names: `"mesh/sub" is a submodule`},
		"backslash in a name": {build: func(r *testRepo) { r.write(`mesh/..\x.cue`, "") }, want: ErrRefused, names: `..\\x.cue`},
		"huge file": {build: func(r *testRepo) { r.write("mesh/big.cue", strings.Repeat("x", 4097)) },
			limit: Limits{FileBytes: 4096}, want: ErrLimit, names: `"mesh/big.cue"`},
		"too many files": {build: func(r *testRepo) { r.write("mesh/1", ""); r.write("mesh/2", "") },
			limit: Limits{Files: 2}, want: ErrLimit, names: "mesh"},
		"too much in all": {build: func(r *testRepo) { r.write("mesh/1", "12345"); r.write("mesh/2", "12345") },
			limit: Limits{TotalBytes: 8}, want: ErrLimit, names: `"mesh/2"`},
		"too deep": {build: func(r *testRepo) { r.write("mesh"+strings.Repeat("/d", 70)+"/x", "") },
			want: ErrLimit, names: "levels"},
		"missing directory": {build: func(*testRepo) {}, dir: "mesh/none", want: fs.ErrNotExist, names: "mesh/none"},
		"file as directory": {build: func(*testRepo) {}, dir: "mesh/a.cue", want: ErrRefused, names: `"mesh/a.cue" is not a directory`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.commit("mesh/a.cue", "x")
			tc.build(r)
			if r.git("status", "--porcelain") != "" && name != "submodule" {
				r.commit()
			}
			if tc.dir == "" {
				tc.dir = "mesh"
			}
			repo := open(t, r.dir, Options{Limits: tc.limit})
			_, err := repo.Tree(t.Context(), head(t, repo, "main"), tc.dir)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.names) {
				t.Errorf("error %v, want %v naming %s", err, tc.want, tc.names)
			}
		})
	}
}

func TestDirectoryNamesThatLeaveTheRepositoryAreRefused(t *testing.T) {
	r := newTestRepo(t)
	r.commit("a.cue", "x")
	repo := open(t, r.dir, Options{})
	for _, dir := range []string{"..", "/", "/etc", "a/../..", `..\x`} {
		if _, err := repo.Tree(t.Context(), head(t, repo, "main"), dir); err == nil {
			t.Errorf("directory %q was taken", dir)
		}
	}
}

func TestCorruptBlobIsNotHandedOut(t *testing.T) {
	r := newTestRepo(t)
	r.commit("a.cue", "good")
	good := r.git("rev-parse", "HEAD:a.cue")
	r.write("evil", "evil")
	evil := r.git("hash-object", "-w", "evil")
	object := func(h string) string { return filepath.Join(r.dir, ".git/objects", h[:2], h[2:]) }
	data, err := os.ReadFile(object(evil))
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(object(good))
	if err := os.WriteFile(object(good), data, 0o600); err != nil {
		t.Fatal(err)
	}
	repo := open(t, r.dir, Options{})
	if _, err := repo.Tree(t.Context(), head(t, repo, "main"), "."); err == nil {
		t.Error("a blob that does not hash to its name was read")
	}
}

func TestEmptyRepositoryAndForcePushAndDeletion(t *testing.T) {
	r := newTestRepo(t)
	repo := open(t, r.dir, Options{})
	if _, err := repo.Head(t.Context(), "main"); !errors.Is(err, ErrEmptyRepository) {
		t.Errorf("empty: %v", err)
	}
	first := r.commit("a.cue", "1")
	second := r.commit("a.cue", "2")
	r.git("reset", "-q", "--hard", first)
	if c := head(t, repo, "main"); c.Hash != first {
		t.Errorf("after a rewind: %s", c.Hash)
	}
	if ok, err := repo.Descends(t.Context(), first, second); err != nil || !ok {
		t.Errorf("descends: %v %v", ok, err)
	}
	if ok, err := repo.Descends(t.Context(), second, first); err != nil || ok {
		t.Errorf("ascends: %v %v", ok, err)
	}
	r.git("checkout", "-q", "--detach")
	r.git("branch", "-q", "other")
	r.git("branch", "-q", "-D", "main")
	if _, err := repo.Head(t.Context(), "main"); !errors.Is(err, ErrRefNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

func TestDescendsOfAShallowCloneIsUnknown(t *testing.T) {
	r := newTestRepo(t)
	first := r.commit("a.cue", "1")
	r.commit("a.cue", "2")
	third := r.commit("a.cue", "3")
	shallow := filepath.Join(t.TempDir(), "shallow")
	r.git("clone", "-q", "--depth", "1", "file://"+r.dir, shallow)
	if _, err := open(t, shallow, Options{}).Descends(t.Context(), first, third); !errors.Is(err, ErrUnknowable) {
		t.Errorf("shallow: %v", err)
	}
}
