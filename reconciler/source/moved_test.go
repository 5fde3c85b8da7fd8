package source

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// TestReferencesThatMove: a branch that is rewritten and a tag that is moved, each
// held and followed, through each transport.
func TestReferencesThatMove(t *testing.T) {
	for name, serve := range transportsOf {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			address, opts := serve(t, r)
			repo := open(t, address, opts)
			hold := newGate(t, repo, Policy{Rewrites: Hold})
			follow := newGate(t, repo, Policy{Retags: Follow})
			r.commit("a", "0")
			first := r.commit("a", "1")
			r.git("tag", "v1")
			was, tagged := head(t, repo, "main"), head(t, repo, "v1")
			check := func(step, ref string, old Commit, moved bool) {
				t.Helper()
				now := head(t, repo, ref)
				g, other := hold, follow
				_, err := g.Judge(t.Context(), []Commit{old}, now)
				if errors.Is(err, ErrHeld) != moved || err != nil && (!moved || !strings.Contains(err.Error(), old.Hash) || !strings.Contains(err.Error(), now.Hash)) {
					t.Errorf("%s, held: %v", step, err)
				}
				// After a rollback by hash, and another reference, all the same.
				since := []Commit{{Ref: strings.Repeat("2", 40), Hash: strings.Repeat("2", 40)}, {Ref: "refs/heads/elsewhere", Hash: strings.Repeat("3", 40)}, old}
				if _, err := g.Judge(t.Context(), since, now); errors.Is(err, ErrHeld) != moved {
					t.Errorf("%s, after a rollback: %v", step, err)
				}
				j, err := other.Judge(t.Context(), []Commit{old}, now)
				if err != nil || (j.Notice != "") != moved || moved && !strings.Contains(j.Notice, old.Hash) {
					t.Errorf("%s, followed: %q, %v", step, j.Notice, err)
				}
			}
			check("the same", "main", was, false)
			check("the same tag", "v1", tagged, false)
			for range 3 {
				r.commit()
			}
			check("three on top", "main", was, false)
			check("another reference", "main", Commit{Ref: "refs/heads/other", Hash: strings.Repeat("1", 40)}, false)
			later := head(t, repo, "main")
			r.git("tag", "-f", "-a", "-m", "x", "v1")
			check("a moved tag", "v1", tagged, true)
			r.git("reset", "-q", "--hard", first)
			check("rewound", "main", later, true)
			check("rewound to what was applied", "main", was, false)
			r.commit("a", "2")
			check("another way", "main", later, true)
			r.git("checkout", "-q", "--orphan", "unrelated")
			r.commit("a", "3")
			r.git("branch", "-f", "main")
			check("another root", "main", was, true)
		})
	}
}

func TestRangesOfVersions(t *testing.T) {
	r := newTestRepo(t)
	hashes := map[string]string{}
	for _, tag := range []string{"v1.0.0", "v1.2.0", "1.10.1", "v1.11.0-rc.1", "v2.0.0", "v1.3", "1.9.9.9", "v01.99.0", "release", "v3.0.0-beta.2"} {
		hashes[tag] = r.commit()
		r.git("tag", "-a", "-m", "x", tag)
	}
	r.git("branch", "v1.99.0")
	remote := open(t, plainHTTP(t, r, nil), Options{})
	for _, repo := range []*Repository{open(t, r.dir, Options{}), remote} {
		for ref, want := range map[string]string{
			"semver:^1": "1.10.1", "semver:>=1.0.0 <1.3.0": "v1.2.0", "semver:*": "v2.0.0", "semver:1.x": "1.10.1", "semver:~1.2": "v1.2.0",
			"semver:>=1.11.0-0 <1.12.0-0": "v1.11.0-rc.1", "semver:>=3.0.0-0": "v3.0.0-beta.2", "semver:1.0.0": "v1.0.0",
		} {
			c, err := repo.Head(t.Context(), ref)
			if err != nil || c.Ref != "refs/tags/"+want || c.Hash != hashes[want] {
				t.Errorf("%s: %+v, %v; want %s", ref, c, err, want)
			}
		}
		for _, ref := range []string{"semver:^4", "semver:nonsense", "semver:", "semver:>=3.0.0"} {
			if c, err := repo.Head(t.Context(), ref); !errors.Is(err, ErrRefNotFound) {
				t.Errorf("%s: %+v, %v", ref, c, err)
			}
		}
	}
	r.git("tag", "2.0.0", "v1.0.0")
	for _, repo := range []*Repository{open(t, r.dir, Options{}), remote} {
		if c, err := repo.Head(t.Context(), "semver:*"); !errors.Is(err, ErrAmbiguousRef) {
			t.Errorf("two tags of one version: %+v, %v", c, err)
		}
	}
}

// TestAPollIsOneRequest: a look at a reference that has not moved.
func TestAPollIsOneRequest(t *testing.T) {
	r := newTestRepo(t)
	r.commit("a", "1")
	var gets, posts atomic.Int32
	repo := open(t, plainHTTP(t, r, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost {
				posts.Add(1)
			} else {
				gets.Add(1)
			}
			next.ServeHTTP(w, req)
		})
	}), Options{})
	for range 3 {
		head(t, repo, "main")
	}
	if gets.Load() != 3 || posts.Load() != 0 {
		t.Errorf("3 looks cost %d lists and %d fetches", gets.Load(), posts.Load())
	}
}

// TestWhatACommitCosts: one that follows on what was applied costs a look at the
// references, and one conversation that brings its place in history and its tree;
// several at once one more, for their history.
func TestWhatACommitCosts(t *testing.T) {
	r := newTestRepo(t)
	r.commit("a", "0")
	var lists, fetches atomic.Int32
	repo := open(t, plainHTTP(t, r, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost {
				fetches.Add(1)
			} else {
				lists.Add(1)
			}
			next.ServeHTTP(w, req)
		})
	}), Options{})
	cost := func(what string, p Policy, wantLists, wantFetches int32, moved bool, change func()) {
		t.Helper()
		g := newGate(t, repo, p)
		old := head(t, repo, "main")
		change()
		lists.Store(0)
		fetches.Store(0)
		now := head(t, repo, "main")
		j, err := g.Judge(t.Context(), []Commit{old}, now)
		if err != nil || (j.Notice != "") != moved {
			t.Errorf("%s: %q, %v", what, j.Notice, err)
		}
		tree, err := repo.Tree(t.Context(), now, ".")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fs.ReadFile(tree, "a"); err != nil || string(got) != what {
			t.Errorf("%s: the tree has %q, %v", what, got, err)
		}
		if l, f := lists.Load(), fetches.Load(); l != wantLists || f != wantFetches {
			t.Errorf("%s: %d lists and %d fetches, want %d and %d", what, l, f, wantLists, wantFetches)
		}
		if _, err := repo.Tree(t.Context(), now, "."); err != nil || fetches.Load() != wantFetches+1 {
			t.Errorf("%s: what was fetched is kept for ever: %v", what, err)
		}
	}
	cost("one", Policy{}, 2, 1, false, func() { r.commit("a", "one") })
	cost("one, held", Policy{Rewrites: Hold}, 2, 1, false, func() { r.commit("a", "one, held") })
	cost("a merge", Policy{}, 2, 1, false, func() {
		r.git("checkout", "-q", "-b", "side")
		r.commit("b", "1")
		r.commit("a", "a merge")
		r.git("checkout", "-q", "main")
		r.git("merge", "-q", "--no-ff", "-m", "merge", "side")
	})
	cost("three", Policy{}, 3, 2, false, func() {
		r.commit("a", "1")
		r.commit("a", "2")
		r.commit("a", "three")
	})
	cost("rewritten", Policy{}, 3, 2, true, func() {
		r.git("reset", "-q", "--hard", "HEAD~2")
		r.commit("a", "rewritten")
	})
}

// TestALongPushIsFollowedWithANotice: how far back is looked where the answer changes
// nothing is bounded, and that it was not found is said.
func TestALongPushIsFollowedWithANotice(t *testing.T) {
	r := newTestRepo(t)
	r.commit("a", "0")
	repo := open(t, plainHTTP(t, r, nil), Options{})
	old := head(t, repo, "main")
	var b strings.Builder
	for i := range someDepth + 10 {
		fmt.Fprintf(&b, "commit refs/heads/main\ncommitter a <a@example.com> %d +0000\ndata 1\nx\n", 1_700_000_000+i)
		if i == 0 {
			fmt.Fprintf(&b, "from %s\n", old.Hash)
		}
	}
	cmd := exec.Command("git", "-C", r.dir, "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader(b.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	now := head(t, repo, "main")
	j, err := newGate(t, repo, Policy{}).Judge(t.Context(), []Commit{old}, now)
	if err != nil || !strings.Contains(j.Notice, "may have been rewritten") {
		t.Errorf("%q, %v", j.Notice, err)
	}
	if _, err := newGate(t, repo, Policy{Rewrites: Hold}).Judge(t.Context(), []Commit{old}, now); err != nil {
		t.Errorf("where it decides, all of it is looked at: %v", err)
	}
}
