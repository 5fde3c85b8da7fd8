package benchreconcile

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// repo is a repository behind git http-backend, which counts what is asked.
type repo struct {
	t   *testing.T
	dir string
	url string

	mu    sync.Mutex
	asked []string
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is not installed, and CI needs it")
		}
		t.Skip("SKIPPED, NOT PASSED: git is not installed")
	}
	r := &repo{t: t, dir: filepath.Join(t.TempDir(), "mesh")}
	must(t, os.MkdirAll(r.dir, 0o755))
	r.git("init", "-q", "-b", "main")
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), InheritEnv: []string{"PATH"},
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.dir), "GIT_HTTP_EXPORT_ALL=1", "HOME=/nonexistent",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.asked = append(r.asked, req.Method+" "+req.URL.Path[strings.Index(req.URL.Path, ".git")+len(".git"):])
		r.mu.Unlock()
		backend.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL + "/mesh/.git"
	return r
}

// requests takes what was asked since it was last called.
func (r *repo) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Clone(r.asked)
	r.asked = nil
	return out
}

func (r *repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir, "-c", "gc.auto=0"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repo) write(name, content string) error {
	file := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(content), 0o644)
}

// commit takes all that was written.
func (r *repo) commit() string {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "change")
	return r.git("rev-parse", "HEAD")
}

// shop writes a mesh of n services in the directory prod; the first users after the
// first service call that, and each calls the five after it.
func (r *repo) shop(n, users int) {
	r.t.Helper()
	must(r.t, r.write("prod/cue.mod/module.cue", "module: \"bench.example/mesh\"\nlanguage: version: \"v0.17.0\"\n"))
	must(r.t, r.write("prod/mesh.cue", `package mesh

import m "meshc.dev/mesh"

mesh:    m.#Config
service: m.#Services

mesh: {name: "bench", trustDomain: "cluster.local"}

// Who does not say otherwise waits so long.
_patience: string
service: [string]: routes: rest: timeout: string | *_patience
`))
	r.patience(10)
	for i := range n {
		must(r.t, r.write(fmt.Sprintf("prod/shop/svc-%04d.cue", i), service(i, n, users, "")))
	}
}

// patience is what the timeout of all services but those that have one of their own
// is set to, in seconds.
func (r *repo) patience(seconds int) {
	r.t.Helper()
	must(r.t, r.write("prod/patience.cue", fmt.Sprintf("package mesh\n\n_patience: \"%ds\"\n", seconds)))
}

// hub is the service that users call.
const hub = "svc-0000"

// timeout gives the hub one of its own.
func (r *repo) timeout(n, users, seconds int) {
	r.t.Helper()
	must(r.t, r.write("prod/shop/"+hub+".cue", service(0, n, users, fmt.Sprintf(`, timeout: "%ds"`, seconds))))
}

func service(i, n, users int, timeout string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "package mesh\n\nservice: \"svc-%04d\": {\n\towner: \"team\"\n\tports: http: {number: 8080, protocol: \"http\"}\n\tversions: v1: {}\n", i)
	for j := i + 1; j <= min(i+5, n-1) && i > 0; j++ {
		fmt.Fprintf(&b, "\tuses: \"svc-%04d\": {}\n", j)
	}
	if 0 < i && i <= users {
		fmt.Fprintf(&b, "\tuses: %q: {}\n", hub)
	}
	fmt.Fprintf(&b, "\troutes: rest: {to: v1: 100%s}\n\tsecurity: {mtls: \"strict\"", timeout)
	var from []string
	if i == 0 {
		for j := 1; j <= users; j++ {
			from = append(from, fmt.Sprintf("%q", fmt.Sprintf("svc-%04d", j)))
		}
	}
	for j := max(1, i-5); j < i; j++ {
		from = append(from, fmt.Sprintf("%q", fmt.Sprintf("svc-%04d", j)))
	}
	if len(from) > 0 {
		fmt.Fprintf(&b, ", allow: [{from: [%s]}]", strings.Join(from, ", "))
	}
	b.WriteString("}\n}\n")
	return b.String()
}
