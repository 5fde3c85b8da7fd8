package source

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/reconciler/source/signature"
)

// sshUser is somebody with an SSH key who commits.
type sshUser struct {
	r      *testRepo
	key    string
	public string
}

func newUser(t *testing.T, r *testRepo) *sshUser {
	t.Helper()
	u := &sshUser{r: r, key: filepath.Join(t.TempDir(), "key")}
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", u.key).CombinedOutput()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("ssh-keygen, which CI needs: %v %s", err, out)
		}
		t.Skipf("SKIPPED: ssh-keygen: %v", err)
	}
	public, err := os.ReadFile(u.key + ".pub")
	must(t, err)
	u.public = strings.TrimSpace(string(public))
	return u
}

// git runs git with signatures by this user.
func (u *sshUser) git(args ...string) string {
	u.r.t.Helper()
	return u.r.git(append([]string{"-c", "gpg.format=ssh", "-c", "user.signingkey=" + u.key, "-c", "commit.gpgsign=true"}, args...)...)
}

func (u *sshUser) commit(args ...string) string {
	u.r.t.Helper()
	u.git(append([]string{"commit", "-q", "--allow-empty", "-m", "change"}, args...)...)
	return u.r.git("rev-parse", "HEAD")
}

// allow writes a file that trusts the users.
func allow(t *testing.T, file string, users ...*sshUser) string {
	t.Helper()
	if file == "" {
		file = filepath.Join(t.TempDir(), "allowed")
	}
	text := "# those who may\n"
	for _, u := range users {
		text += "a@example.com " + u.public + "\n"
	}
	must(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// transportsOf serves r in each way.
var transportsOf = map[string]func(*testing.T, *testRepo) (string, Options){
	"local": func(_ *testing.T, r *testRepo) (string, Options) { return r.dir, Options{} },
	"http":  func(t *testing.T, r *testRepo) (string, Options) { return plainHTTP(t, r, nil), Options{} },
	"http with partial clones": func(t *testing.T, r *testRepo) (string, Options) {
		r.git("config", "uploadpack.allowFilter", "true")
		return plainHTTP(t, r, nil), Options{}
	},
	"git": func(t *testing.T, r *testRepo) (string, Options) { return gitDaemon(t, r), Options{} },
	"ssh": sshServer,
}

func newGate(t *testing.T, repo *Repository, p Policy) *Gate {
	t.Helper()
	g, err := repo.NewGate(p)
	must(t, err)
	return g
}

// TestTheWholeRangeMustBeSigned is the story of a branch, seen through each transport.
func TestTheWholeRangeMustBeSigned(t *testing.T) {
	for _, name := range []string{"local", "http with partial clones", "ssh"} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			ann, eve := newUser(t, r), newUser(t, r)
			address, opts := transportsOf[name](t, r)
			repo := open(t, address, opts)
			keys := signature.Files{AllowedSigners: allow(t, "", ann)}
			g := newGate(t, repo, Policy{Verify: VerifyRange, Keys: keys})
			onlyHead := newGate(t, repo, Policy{Verify: VerifyHead, Keys: keys})
			judge := func(g *Gate, applied string) (Judgement, error) {
				return g.Judge(t.Context(), appliedCommits(applied), head(t, repo, "main"))
			}
			refused := func(step string, g *Gate, applied string, words ...string) {
				t.Helper()
				_, err := judge(g, applied)
				for _, w := range words {
					if !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), w) {
						t.Errorf("%s: %v, want %q in it", step, err, w)
					}
				}
			}
			passes := func(step string, g *Gate, applied string, verified int) {
				t.Helper()
				j, err := judge(g, applied)
				if err != nil || j.Verified != verified || verified > 0 && !strings.Contains(j.SignedBy, "a@example.com (ssh-ed25519 SHA256:") {
					t.Errorf("%s: %+v, %v", step, j, err)
				}
			}

			unsigned := r.commit("mesh/a.cue", "one")
			refused("unsigned, nothing applied", g, "", unsigned, "is not signed")
			first := ann.commit()
			passes("signed, nothing applied", g, "", 1)
			passes("what was applied already", g, first, 1)

			last := first
			for range 17 {
				last = ann.commit()
			}
			passes("seventeen more", g, first, 17)
			passes("seventeen more, the last alone", onlyHead, first, 1)

			hole := r.commit("mesh/a.cue", "two")
			byAnn := ann.commit()
			refused("a hole", g, last, hole, "is not signed")
			refused("an older hole", g, first, hole)
			passes("a hole behind what was applied", g, hole, 1)
			passes("a hole, where the last alone counts", onlyHead, last, 1)

			byEve := eve.commit()
			ann.commit()
			refused("a stranger", g, byAnn, byEve, "ssh-ed25519 SHA256:", "not trusted")
			allow(t, keys.AllowedSigners, ann, eve)
			passes("the stranger was let in", g, byAnn, 2)
			allow(t, keys.AllowedSigners, ann)

			// Merged branches are vouched for by who merges.
			base := r.git("rev-parse", "HEAD")
			r.git("checkout", "-q", "-b", "side")
			r.commit("mesh/b.cue", "unsigned on the side")
			r.git("checkout", "-q", "main")
			ann.git("merge", "-q", "--no-ff", "-m", "merge", "-S", "side")
			passes("a merge", g, base, 1)
			merge := r.git("rev-parse", "HEAD")

			// The other way about: main is merged into a branch that becomes main.
			r.git("checkout", "-q", "-b", "work", base)
			own := ann.commit()
			ann.git("merge", "-q", "--no-ff", "-m", "merge main", "-S", "main")
			r.git("checkout", "-q", "-B", "main")
			passes("main as the second parent", g, merge, 2)
			_ = own

			// A rewind to what was applied long ago is judged by itself; another root
			// only where an anchor says so.
			r.git("reset", "-q", "--hard", first)
			passes("rewound", g, hole+" "+first, 1)
			ann.commit()
			ann.commit()
			passes("rewound, and gone another way", g, hole+" "+first, 2)
			if name != "local" { // where the commits that were left are still there
				refused("rewound to where nothing was applied", g, hole, hole[:12], "rewritten")
			}
			r.git("checkout", "-q", "--orphan", "new")
			anchor := r.commit("mesh/a.cue", "unsigned root")
			ann.commit()
			r.git("branch", "-f", "main")
			refused("rewritten", g, merge, merge[:12], "rewritten")
			anchored := newGate(t, repo, Policy{Verify: VerifyRange, Keys: keys, Anchor: anchor})
			passes("rewritten, from an anchor", anchored, merge, 1)
			passes("nothing applied, from an anchor", anchored, "", 1)
		})
	}
}

// TestHistoryThatDoesNotReachIsRefused: bounded, and from shallow clones.
func TestHistoryThatDoesNotReachIsRefused(t *testing.T) {
	r := newTestRepo(t)
	ann := newUser(t, r)
	keys := signature.Files{AllowedSigners: allow(t, "", ann)}
	first := ann.commit()
	for range 5 {
		ann.commit()
	}
	shallow := filepath.Join(t.TempDir(), "shallow.git")
	r.git("clone", "-q", "--bare", "--depth", "3", "file://"+r.dir, shallow)
	clone := &testRepo{t: t, dir: shallow}
	for name, address := range map[string]string{"local": shallow, "served": bareHTTP(t, clone)} {
		repo := open(t, address, Options{})
		_, err := newGate(t, repo, Policy{Verify: VerifyRange, Keys: keys}).Judge(t.Context(), appliedCommits(first), head(t, repo, "main"))
		if !errors.Is(err, ErrUntrusted) || !errors.Is(err, ErrUnknowable) {
			t.Errorf("a shallow clone, %s: %v", name, err)
		}
	}
	repo := open(t, plainHTTP(t, r, nil), Options{Limits: Limits{Commits: 4}})
	_, err := newGate(t, repo, Policy{Verify: VerifyRange, Keys: keys}).Judge(t.Context(), appliedCommits(first), head(t, repo, "main"))
	if !errors.Is(err, ErrUntrusted) || !errors.Is(err, ErrLimit) {
		t.Errorf("more than the limit: %v", err)
	}
}

func TestSignedTags(t *testing.T) {
	for _, name := range []string{"local", "http", "git"} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			ann, eve := newUser(t, r), newUser(t, r)
			address, opts := transportsOf[name](t, r)
			repo := open(t, address, opts)
			g := newGate(t, repo, Policy{Verify: VerifyTag, Keys: signature.Files{AllowedSigners: allow(t, "", ann)}})
			r.commit("mesh/a.cue", "one")
			ann.git("tag", "-s", "-m", "x", "v1")
			eve.git("tag", "-s", "-m", "x", "stranger")
			r.git("tag", "-a", "-m", "x", "unsigned")
			r.git("tag", "light")
			r.git("update-ref", "refs/tags/v2", "v1") // what was signed as v1 shown as v2
			ann.git("tag", "-s", "-m", "x", "nested", "v1")
			for ref, want := range map[string]string{
				"v1": "", "stranger": "not trusted", "unsigned": "is not signed", "light": "not an annotated one",
				"refs/tags/v2": `holds the tag "v1"`, "nested": "of the tag", "main": "is not a tag",
			} {
				j, err := g.Judge(t.Context(), nil, head(t, repo, ref))
				if want == "" {
					if err != nil || !strings.Contains(j.SignedBy, "a@example.com") {
						t.Errorf("%s: %+v, %v", ref, j, err)
					}
				} else if !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %q", ref, err, want)
				}
			}
		})
	}
}

func TestPoliciesThatMakeNoSense(t *testing.T) {
	r := newTestRepo(t)
	ann := newUser(t, r)
	keys := signature.Files{AllowedSigners: allow(t, "", ann)}
	repo := open(t, r.dir, Options{})
	for name, p := range map[string]Policy{
		"keys for nothing": {Keys: keys}, "no keys": {Verify: VerifyHead}, "unknown": {Verify: "most", Keys: keys},
		"a short anchor": {Verify: VerifyRange, Keys: keys, Anchor: "0123"}, "an anchor for nothing": {Verify: VerifyHead, Keys: keys, Anchor: strings.Repeat("0", 40)},
		"absent keys": {Verify: VerifyHead, Keys: signature.Files{PGP: []string{"/nonexistent"}}},
	} {
		if _, err := repo.NewGate(p); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := newGate(t, repo, Policy{}).Judge(t.Context(), nil, Commit{}); err != nil {
		t.Error(err)
	}
}

// TestDescendsFromRemotes is held against git merge-base --is-ancestor.
func TestDescendsFromRemotes(t *testing.T) {
	for name, serve := range transportsOf {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			address, opts := serve(t, r)
			first := r.commit("a", "1")
			r.git("checkout", "-q", "-b", "side")
			side := r.commit("b", "1")
			r.git("checkout", "-q", "main")
			for range 17 {
				r.git("commit", "-q", "--allow-empty", "-m", "x")
			}
			r.git("merge", "-q", "--no-ff", "-m", "merge", "side")
			tip := r.git("rev-parse", "HEAD")
			r.git("checkout", "-q", "--orphan", "other")
			other := r.commit()
			repo := open(t, address, opts)
			for older, want := range map[string]bool{first: true, side: true, tip: true, other: false} {
				if got, err := repo.Descends(t.Context(), older, tip); err != nil || got != want {
					t.Errorf("%s before %s: %v, %v", older, tip, got, err)
				}
			}
		})
	}
}

// appliedCommits are commits that were applied at some reference.
func appliedCommits(hashes string) (out []Commit) {
	for _, h := range strings.Fields(hashes) {
		out = append(out, Commit{Hash: h})
	}
	return out
}

// bareHTTP serves a bare repository.
func bareHTTP(t *testing.T, r *testRepo) string {
	t.Helper()
	return strings.TrimSuffix(plainHTTP(t, r, nil), "/mesh.git/.git") + "/" + filepath.Base(r.dir)
}
