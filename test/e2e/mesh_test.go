package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/tools/demo/lab"
)

// mesh is Bookinfo in a fresh Git repository, run by `meshc up`.
type mesh struct {
	*lab.Workspace
	t      *testing.T
	up     *lab.Up
	out    output // what `meshc up` printed
	traces *traces
}

// output is a buffer for the output of a running process.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// newMesh makes the repository; nothing runs yet. When the test ends, so does
// everything that was started from it, and nothing may be left.
func newMesh(t *testing.T) *mesh {
	t.Helper()
	ws, err := lab.NewWorkspace(lab.Source{Mesh: filepath.Join(root, "examples", "bookinfo", "mesh"), Bin: bin})
	if err != nil {
		t.Fatal(err)
	}
	m := &mesh{Workspace: ws, t: t, traces: newTraces(t, ws.Network)}
	ws.Env = m.traces.env()
	t.Cleanup(func() {
		if m.up != nil {
			_ = m.up.Process.Signal(syscall.SIGCONT) // a test may have ended while it was held
			if err := m.up.Stop(syscall.SIGTERM); err != nil {
				t.Errorf("meshc up: %v\n%s", err, m.out.String())
			}
			m.traces.none(m.Repo)
		}
		if t.Failed() {
			t.Logf("meshc up printed:\n%s", m.out.String())
			m.keepLogs()
		}
		if err := ws.Remove(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// keepLogs copies the logs of a failed test to where MESHC_E2E_LOGS says.
func (m *mesh) keepLogs() {
	dir := os.Getenv("MESHC_E2E_LOGS")
	if dir == "" {
		return
	}
	dir = filepath.Join(dir, strings.ReplaceAll(m.t.Name(), "/", "_"))
	if err := os.RemoveAll(dir); err != nil {
		m.t.Log(err)
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(m.state(), "logs"))); err != nil {
		m.t.Log(err)
	}
}

// started is a mesh whose first commit is live.
func started(t *testing.T) *mesh {
	t.Helper()
	m := newMesh(t)
	m.start()
	return m
}

// start runs `meshc up` until HEAD is live.
func (m *mesh) start() {
	m.t.Helper()
	up, err := m.Up(&m.out, &m.out)
	if err != nil {
		m.t.Fatal(err)
	}
	m.up = up
	if err := m.WaitReady(m.t.Context(), up, 2*time.Minute); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mesh) state() string { return filepath.Join(m.Repo, ".meshc") }

// write replaces files of the repository and commits them.
func (m *mesh) write(files map[string]string) (commit string) {
	m.t.Helper()
	for name, content := range files {
		if err := m.Edit(name, func(string) string { return content }); err != nil {
			m.t.Fatal(err)
		}
	}
	return m.commit()
}

// commit commits what was changed.
func (m *mesh) commit() string {
	m.t.Helper()
	hash, err := m.Commit("change")
	if err != nil {
		m.t.Fatal(err)
	}
	return hash
}

// live waits until commit is programmed on every proxy.
func (m *mesh) live(commit string) *status.Status {
	m.t.Helper()
	out, code, err := m.Meshc("wait", commit, "--timeout", "120s")
	if err != nil || code != 0 {
		text, _, _ := m.Meshc("status")
		m.t.Fatalf("meshc wait %.8s: exit status %d, %v: %s\n%s", commit, code, err, out, text)
	}
	return m.status()
}

// programmed waits until commit itself is on exactly n proxies of n.
func (m *mesh) programmed(commit string, n int) {
	m.t.Helper()
	m.live(commit)
	m.eventually("programmed with "+commit[:8], func() error {
		if p := m.status().Programmed; p.Commit != commit || p.Done != n || p.Total != n {
			return fmt.Errorf("commit %.8s is programmed %d/%d, not %.8s %d/%d", p.Commit, p.Done, p.Total, commit, n, n)
		}
		return nil
	})
}

// eventually asks until ok says nil, for at most a minute.
func (m *mesh) eventually(what string, ok func() error) {
	m.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			text, _, _ := m.Meshc("status")
			m.t.Fatalf("%s: not within a minute: %v\n%s", what, err, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// status is what `meshc status` says, also of a controller that is away (2).
func (m *mesh) status() *status.Status {
	m.t.Helper()
	out, code, err := m.Meshc("status", "-o", "json")
	if err != nil {
		m.t.Fatalf("meshc status: exit status %d, %v: %s", code, err, out)
	}
	var s struct {
		Kind string
		status.Status
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		m.t.Fatalf("meshc status -o json: %v\n%s", err, out)
	}
	return &s.Status
}

// pid of a process that `meshc up` keeps running; it waits while that is being
// started again.
func (m *mesh) pid(name string) (pid int) {
	m.t.Helper()
	m.eventually(name+" runs", func() error {
		var pids map[string]int
		m.decode("processes.json", &pids)
		if pid = pids[name]; pid == 0 {
			return fmt.Errorf("no process %q among %v", name, pids)
		}
		return syscall.Kill(pid, 0)
	})
	return pid
}

// workload is where a workload runs.
func (m *mesh) workload(id string) *model.Workload {
	m.t.Helper()
	var file struct {
		Workloads []*model.Workload `json:"workloads"`
	}
	m.decode("workloads.json", &file)
	for _, w := range file.Workloads {
		if w.ID == id {
			return w
		}
	}
	m.t.Fatalf("no workload %q", id)
	return nil
}

// decode reads a JSON file of the state directory.
func (m *mesh) decode(name string, out any) {
	m.t.Helper()
	raw, err := os.ReadFile(filepath.Join(m.state(), name))
	if err != nil {
		m.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		m.t.Fatalf("%s: %v", name, err)
	}
}

// traffic is users of the page of which no request may fail.
type traffic struct {
	lab.Ledger
	t    *testing.T
	load *lab.Load
}

// traffic lets users ask until end, or until the test ends.
func (m *mesh) traffic(users int) *traffic {
	f := &traffic{t: m.t}
	f.load = lab.StartLoad(context.WithoutCancel(m.t.Context()), m.Gateway, "", users, f.Note)
	m.t.Cleanup(func() { f.load.End() })
	return f
}

// more waits until n more answers are in.
func (f *traffic) more(n int) {
	f.t.Helper()
	begin, _, _ := f.Counts()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		total, _, _ := f.Counts()
		if total >= begin+n {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("only %d of %d requests were answered in a minute", total-begin, n)
		}
	}
}

// end ends the load and gives how many requests there were, none of which has
// failed.
func (f *traffic) end() int {
	f.t.Helper()
	f.load.End()
	total, failed, examples := f.Counts()
	if failed > 0 {
		f.t.Errorf("%d of %d requests failed, for example:\n  %s", failed, total, strings.Join(examples, "\n  "))
	}
	return total
}

// reviews is shop/reviews.cue with the versions v1 to v<n> and a rule for all
// requests.
func reviews(n int, to string) map[string]string {
	var versions []string
	for v := range n {
		versions = append(versions, fmt.Sprintf("v%d: {}", v+1))
	}
	return map[string]string{"shop/reviews.cue": `package mesh

service: reviews: {
	owner: "team-catalog"
	ports: http: {number: 9080, protocol: "http"}
	versions: {` + strings.Join(versions, ", ") + `}
	uses: ratings: {}
	routes: all: to: ` + to + `
	security: {mtls: "strict", allow: [{from: ["productpage"], methods: ["GET"]}]}
}
`}
}
