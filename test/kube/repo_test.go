package kube

import (
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repo is a repository behind git http-backend.
type repo struct {
	t      *testing.T
	dir    string
	url    string
	server *httptest.Server
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
	r.server = httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.dir), "GIT_HTTP_EXPORT_ALL=1", "HOME=/nonexistent",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	})
	t.Cleanup(r.server.Close)
	r.url = r.server.URL + "/mesh/.git"
	return r
}

func (r *repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes the files (name, content, …) and gives the hash.
func (r *repo) commit(files ...string) string {
	r.t.Helper()
	for i := 0; i < len(files); i += 2 {
		file := filepath.Join(r.dir, "prod", files[i])
		must(r.t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(r.t, os.WriteFile(file, []byte(files[i+1]), 0o644))
	}
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", "change")
	return r.git("rev-parse", "HEAD")
}

const moduleCUE = `module: "test.example/mesh"
language: version: "v0.17.0"
`

const rootCUE = `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals

mesh: {name: "shop", trustDomain: "cluster.local"}
`

const webCUE = `package mesh

service: web: {
	owner: "team"
	ports: http: {number: 8080, protocol: "http"}
	versions: v1: {}
	uses: api: {}
	routes: rest: {to: v1: 100}
	security: mtls: "strict"
}
`

// apiCUE has its weights in line 7.
func apiCUE(v1, v2 string) string {
	return `package mesh

service: api: {
	owner: "team"
	ports: http: {number: 8080, protocol: "http"}
	versions: {v1: {}, v2: {}}
	routes: rest: {to: {v1: ` + v1 + `, v2: ` + v2 + `}}
	security: {mtls: "strict", allow: [{from: ["web"]}]}
}
`
}

// mesh commits all files, with the weights of api.
func (r *repo) mesh(v1, v2 string) string {
	r.t.Helper()
	return r.commit("cue.mod/module.cue", moduleCUE, "mesh.cue", rootCUE, "shop/web.cue", webCUE, "shop/api.cue", apiCUE(v1, v2))
}
