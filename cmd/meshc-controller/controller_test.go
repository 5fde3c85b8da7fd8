package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
	"github.com/meshc/meshc/test/loopback"
	"github.com/meshc/meshc/test/soak"
)

// asController makes this test binary the controller.
const asController = "MESHC_TEST_CONTROLLER"

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	if os.Getenv(asController) != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

const rootCUE = `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals

mesh: {name: "test", trustDomain: "cluster.local"}
`

const goodCUE = `package mesh

service: api: {
	owner: "team"
	ports: http: {number: 8080, protocol: "http"}
	versions: {v1: {}, v2: {}}
	routes: rest: {to: {v1: 90, v2: 10}}
	security: mtls: "strict"
}
`

// rig is a repository, a state directory and at most one controller.
type rig struct {
	t                      *testing.T
	repo, state, workloads string
	ads, ca, admin         string
	cmd                    *exec.Cmd
	log                    *bytes.Buffer
	more                   []string // arguments
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is not installed, and CI needs it")
		}
		t.Skip("SKIPPED: git is not installed")
	}
	dir := t.TempDir()
	r := &rig{t: t, repo: filepath.Join(dir, "repo"), state: filepath.Join(dir, "state"),
		workloads: filepath.Join(dir, "workloads.json"), ads: loopback.Address(t), ca: loopback.Address(t), admin: filepath.Join(dir, "admin.sock")}
	must(t, os.MkdirAll(filepath.Join(r.repo, "mesh", "shop"), 0o755))
	must(t, os.MkdirAll(filepath.Join(r.repo, "mesh", "cue.mod"), 0o755))
	r.git("init", "-q", "-b", "main")
	r.write("cue.mod/module.cue", "module: \"test.example/mesh\"\nlanguage: version: \"v0.17.0\"\n")
	r.write("mesh.cue", rootCUE)
	raw, err := json.Marshal(map[string]any{"workloads": []*model.Workload{{ID: "api-v1-0", Role: model.RoleSidecar,
		Service: model.Ref{Namespace: "default", Name: "api"}, Version: "v1", Ready: true,
		Inbound: map[uint16]string{8080: "127.0.0.1:28080"}, App: map[uint16]string{8080: "127.0.0.1:28081"}}}})
	must(t, err)
	must(t, os.WriteFile(r.workloads, raw, 0o600))
	t.Cleanup(func() { r.kill() })
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.repo}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *rig) write(name, content string) {
	r.t.Helper()
	must(r.t, os.WriteFile(filepath.Join(r.repo, "mesh", name), []byte(content), 0o644))
}

// commit gives shop/api.cue a content.
func (r *rig) commit(api string) string {
	r.t.Helper()
	r.write("shop/api.cue", api)
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "change")
	return r.git("rev-parse", "HEAD")
}

func (r *rig) start() {
	r.t.Helper()
	r.log = &bytes.Buffer{}
	r.cmd = exec.Command(os.Args[0], "--repo", r.repo, "--path", "mesh", "--state", r.state, "--workloads", r.workloads,
		"--ads-address", r.ads, "--ca-address", r.ca, "--interval", "50ms", "--admin", r.admin, "--ca-root-out", filepath.Join(filepath.Dir(r.state), "roots.pem"))
	r.cmd.Args = append(r.cmd.Args, r.more...)
	r.cmd.Env = append(os.Environ(), asController+"=1")
	r.cmd.Stderr = r.log
	must(r.t, r.cmd.Start())
}

// kill is kill -9.
func (r *rig) kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// until waits for a status that holds.
func (r *rig) until(what string, holds func(*status.Status) bool) *status.Status {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		s, err := store.ReadStatus(r.state)
		if err == nil && holds(s) {
			return s
		}
		if time.Now().After(deadline) {
			log := r.log.String()
			r.kill()
			r.t.Fatalf("%s: not within a minute; status %+v, %v\n%s", what, s, err, log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *rig) untilServing(commit string) *status.Status {
	r.t.Helper()
	return r.until("serving "+commit, func(s *status.Status) bool { return s.Serving != nil && s.Serving.Commit == commit })
}

// TestBadCommitsKeepServing is the story of a good commit, three broken ones
// and a fix, with the real compiler.
func TestBadCommitsKeepServing(t *testing.T) {
	r := newRig(t)
	good := r.commit(goodCUE)
	r.start()
	s := r.untilServing(good)
	if s.Programmed.Total != 1 || s.Programmed.Done != 0 {
		t.Errorf("programmed %d/%d", s.Programmed.Done, s.Programmed.Total)
	}
	bad := []struct {
		name, old, new string
		line           int
	}{
		{"CUE syntax error", `ports: http: {`, `ports: http: {{,`, 5},
		{"unknown version", `v2: 10`, `v9: 10`, 7},
		{"weights of 105", `v2: 10`, `v2: 15`, 7},
	}
	for _, b := range bad {
		commit := r.commit(strings.Replace(goodCUE, b.old, b.new, 1))
		s := r.until(b.name, func(s *status.Status) bool {
			return s.Attempted != nil && s.Attempted.Commit == commit && s.Attempted.Error != ""
		})
		d := s.Attempted.Diagnostics
		if len(d) == 0 || d[0].File != "shop/api.cue" || d[0].Line != b.line {
			t.Errorf("%s: diagnostics %+v", b.name, d)
		}
		if m, serving, err := store.Serving(r.state); err != nil || serving != good || len(m.Services) != 1 || s.Serving.Commit != good {
			t.Errorf("%s: %s serves, %v", b.name, serving, err)
		}
		if c, _ := s.Condition(status.Stalled); c.Status != status.True {
			t.Errorf("%s: %+v", b.name, c)
		}
	}
	r.untilServing(r.commit(strings.Replace(goodCUE, "v2: 10", "v2: 10 ", 1)))
}

// TestKilledAndBackWithoutGit kills the controller and takes the repository
// away: what served is served again, in under a second.
func TestKilledAndBackWithoutGit(t *testing.T) {
	r := newRig(t)
	good := r.commit(goodCUE)
	r.start()
	r.untilServing(good)
	r.kill()
	must(t, os.Rename(r.repo, r.repo+".away"))

	begin := time.Now()
	r.start()
	for {
		if c, err := net.Dial("tcp", r.ads); err == nil {
			c.Close()
			break
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("ADS does not listen\n%s", r.log)
		}
		time.Sleep(2 * time.Millisecond)
	}
	took := time.Since(begin)
	t.Logf("ADS listens after %v", took)
	if took > soak.Within(time.Second) {
		t.Errorf("ADS listens after %v only", took)
	}
	s := r.until("the fetch to fail", func(s *status.Status) bool {
		c, _ := s.Condition(status.Ready)
		return c.Reason == "FetchFailed"
	})
	if s.Serving.Commit != good || s.Programmed.Commit != good || s.Programmed.Total != 1 {
		t.Errorf("%+v", s)
	}
	must(t, os.Rename(r.repo+".away", r.repo))
	r.untilServing(r.commit(strings.Replace(goodCUE, "v2: 10", "v2: 10 ", 1)))
}

func TestEndsInOrderOnSIGTERM(t *testing.T) {
	r := newRig(t)
	r.start()
	r.until("the first report", func(s *status.Status) bool { return s.UpdatedAt != time.Time{} })
	r.checkAdmin("/ready", http.StatusServiceUnavailable, "no commit")
	good := r.commit(goodCUE)
	r.untilServing(good)
	r.checkAdmin("/ready", http.StatusOK, "ready")
	r.checkAdmin("/status", http.StatusOK, good)
	must(t, r.cmd.Process.Signal(syscall.SIGTERM))
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, r.log)
	}
	for line := range strings.Lines(r.log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("the log has a line that is not JSON: %s", line)
		}
	}
	if m, _, err := store.Serving(r.state); err != nil || len(m.Services) != 1 {
		t.Errorf("after the end: %v", err)
	}
	r.cmd = nil
}

func (r *rig) checkAdmin(path string, code int, body string) {
	r.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.admin)
	}}}
	var last string
	for range 400 {
		resp, err := client.Get("http://admin" + path)
		if err == nil {
			data, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if last = resp.Status + " " + string(data); resp.StatusCode == code && strings.Contains(string(data), body) {
				return
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Errorf("%s: %s", path, last)
}

func TestASecondControllerIsRefused(t *testing.T) {
	r := newRig(t)
	r.start()
	r.until("the first report", func(s *status.Status) bool { return true })
	second := *r
	second.ads, second.ca, second.admin = loopback.Address(t), loopback.Address(t), r.admin+"2"
	second.start()
	if err := second.cmd.Wait(); second.cmd.ProcessState.ExitCode() != 2 || !strings.Contains(second.log.String(), "in use by another process") {
		t.Errorf("%v: %s", err, second.log)
	}
}

func TestFlags(t *testing.T) {
	base := []string{"--repo", "r", "--state", "s", "--workloads", "w"}
	for name, args := range map[string][]string{
		"no repo":            {"--state", "s", "--workloads", "w"},
		"no state":           {"--repo", "r", "--workloads", "w"},
		"unknown role":       append(base, "--roles", "ca,web"),
		"serve alone":        append(base, "--roles", "serve,ca"),
		"no ca":              append(base, "--roles", "reconcile,serve"),
		"admin on a network": append(base, "--admin", "0.0.0.0:80"),
		"admin by name":      append(base, "--admin", "localhost:80"),
		"negative interval":  append(base, "--interval", "-1s"),
		"argument":           append(base, "x"),
		"ca without a place": {"--roles", "ca"},
		"mesh and repo":      {"--mesh", "a/b", "--ca-dir", "c", "--workloads", "w", "--repo", "r"},
		"mesh and ref":       {"--mesh", "a/b", "--ca-dir", "c", "--workloads", "w", "--ref", "r"},
		"mesh without name":  {"--mesh", "a", "--ca-dir", "c", "--workloads", "w"},
		"mesh without serve": {"--mesh", "a/b", "--ca-dir", "c", "--workloads", "w", "--roles", "ca"},
		"token for anybody":  {"--mesh", "a/b", "--ca-dir", "c", "--workloads", "w", "--git-token-file", "t"},
		"kubeconfig alone":   append(base, "--kubeconfig", "k"),
		"identity alone":     append(base, "--identity", "i"),
		"lease alone":        append(base, "--lease", "15s"),
		"webhook, no role":   {"--mesh", "a/b", "--ca-dir", "c", "--workloads", "w", "--roles", "serve,ca", "--webhook-address", "a", "--webhook-secret-file", "s"},
		"git, no role":       {"--mesh", "a/b", "--ca-dir", "c", "--workloads", "w", "--roles", "serve,ca", "--git-verify", "head"},
		"lease, no role":     {"--mesh", "a/b", "--ca-dir", "c", "--workloads", "w", "--roles", "serve,ca", "--lease", "20s"},
		"ca and a webhook":   {"--ca-dir", "c", "--roles", "ca", "--webhook-address", "a", "--webhook-secret-file", "s"},
		"ca and workloads":   {"--ca-dir", "c", "--roles", "ca", "--workloads", "w"},
		"ca and a repo":      {"--ca-dir", "c", "--roles", "ca", "--repo", "r"},
		"inject nothing":     {"--roles", "inject"},
		"inject unasked":     append(base, "--inject-host", "a"),
		"inject and ca-dir":  {"--roles", "inject", "--mesh", "a/b", "--ca-dir", "c"},
		"cert without key":   {"--roles", "inject", "--mesh", "a/b", "--inject-cert-file", "c"},
		"two certificates":   {"--roles", "inject", "--mesh", "a/b", "--inject-cert-file", "c", "--inject-key-file", "k", "--inject-webhook", "w"},
		"federate nothing":   append(base, "--federate", "domain=b.example"),
		"inject federates":   {"--roles", "inject", "--mesh", "a/b", "--inject-cert-file", "c", "--inject-key-file", "k", "--bundle-address", "a:1"},
		"mesh without ca":    {"--mesh", "a/b", "--workloads", "w"},
	} {
		cmd := newControllerCmd()
		cmd.SetArgs(args)
		cmd.RunE = nil
		ran := false
		cmd.Run = func(*cobra.Command, []string) { ran = true }
		if err := cmd.Execute(); err == nil || ran {
			t.Errorf("%s: taken", name)
		}
	}
}
