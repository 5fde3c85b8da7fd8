package local

import (
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/loopback"
)

// shortDir is a directory in which paths of unix sockets are short enough.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "local")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// workload has an application and a proxy that answer only when told to.
type fakeWorkload struct {
	*model.Workload
	t     *testing.T
	r     *runner
	state int // of the proxy's /ready
}

func newFakeWorkload(t *testing.T) *fakeWorkload {
	w := &model.Workload{
		ID: "api-v1-0", Role: model.RoleSidecar, Service: model.Ref{Namespace: "default", Name: "api"},
		App: map[uint16]string{80: loopback.Address(t)},
	}
	r := &runner{at: layout{shortDir(t)}, ready: map[string]bool{}, placed: &Placement{Workloads: []*model.Workload{w}}}
	return &fakeWorkload{Workload: w, t: t, r: r, state: http.StatusServiceUnavailable}
}

func (f *fakeWorkload) startApp() net.Listener {
	f.t.Helper()
	l, err := net.Listen("tcp", f.App[80])
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = l.Close() })
	return l
}

func (f *fakeWorkload) startProxy() {
	f.t.Helper()
	socket, err := f.r.at.adminSocket(f.Workload)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.MkdirAll(f.r.at.node(f.Workload), 0o700); err != nil {
		f.t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		f.t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" {
			w.WriteHeader(f.state)
		}
	})}
	done := make(chan struct{})
	go func() { _ = srv.Serve(l); close(done) }()
	f.t.Cleanup(func() { _ = srv.Close(); <-done })
}

func (f *fakeWorkload) isReady() bool {
	f.r.markReady(f.t.Context())
	return f.Ready
}

// A workload gets requests when its application listens and its proxy has a
// configuration, and not before.
func TestReady(t *testing.T) {
	f := newFakeWorkload(t)
	if f.isReady() {
		t.Error("ready with nothing there")
	}
	app := f.startApp()
	if f.isReady() {
		t.Error("ready without its proxy")
	}
	f.startProxy()
	if f.isReady() {
		t.Error("ready before its proxy is")
	}
	f.state = http.StatusOK
	if !f.isReady() {
		t.Error("not ready with everything there")
	}
	_ = app.Close()
	f.Ready = false // as a new placement says
	if !f.isReady() {
		t.Error("not ready any more")
	}
}

// What is not wanted runs until no proxy calls it, the proxy ends before the
// application, and both end in any case after a while.
func TestRetire(t *testing.T) {
	s, _, _ := supervisor(t)
	var progress Progress
	var failed error
	const node = "sidecar~default/api-v1-0"
	r := &runner{
		o: Options{Programmed: func() (Progress, error) { return progress, failed }}, sup: s,
		ready: map[string]bool{node: true}, retiring: map[string]time.Time{},
		nodes: map[string]string{"app-api-v1-0": node, "sidecar-api-v1-0": node},
	}
	start := func() {
		for name := range r.nodes {
			mustRun(t, s, shell(name, "exec sleep 1000"))
		}
	}
	for what, p := range map[string]Progress{
		"the node is still expected":   {Complete: true, Nodes: []string{node}},
		"not every proxy is there yet": {Complete: false},
	} {
		start()
		progress = p
		r.notWanted(nil)
		r.retire()
		if len(s.Names()) != 2 || !r.ready[node] {
			t.Errorf("retired although %s", what)
		}
	}
	progress, failed = Progress{Complete: true}, errors.New("no status")
	if r.retire(); len(s.Names()) != 2 {
		t.Error("retired without a status")
	}
	failed = nil
	r.notWanted(map[string]bool{"app-api-v1-0": true, "sidecar-api-v1-0": true})
	if r.retire(); len(s.Names()) != 2 {
		t.Error("retired although it is wanted again")
	}
	r.notWanted(nil)
	if r.retire(); len(s.Names()) != 0 || r.ready[node] || len(r.nodes) != 0 {
		t.Errorf("not retired: %v", s.Names())
	}
	r.nodes = map[string]string{"app-api-v1-0": node}
	start()
	progress = Progress{}
	r.notWanted(nil)
	r.retiring["app-api-v1-0"] = time.Now().Add(-retireAfter)
	if r.retire(); len(s.Names()) != 0 {
		t.Error("runs for ever when proxies do not answer")
	}
}

// A gateway is not started on an address that somebody else has.
func TestGatewayWaitsForItsPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, _, _ := supervisor(t)
	r := &runner{sup: s}
	w := &model.Workload{
		ID: "edge-0", Role: model.RoleGateway, Service: model.Ref{Namespace: "shop", Name: "edge"},
		Inbound: map[uint16]string{80: l.Addr().String()},
	}
	err = r.mayListen(w)
	for _, want := range []string{"gateway shop/edge waits for its port 80", l.Addr().String(), "address already in use", FileName} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	mustRun(t, s, shell(proxyName(w), "exec sleep 1000"))
	if err := r.mayListen(w); err != nil {
		t.Errorf("a gateway that runs: %v", err)
	}
	s.Stop(proxyName(w))
	_ = l.Close()
	if err := r.mayListen(w); err != nil {
		t.Errorf("a port that is free: %v", err)
	}
}

func TestStopAllForgetsProcessesAndSockets(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	s, told, _ := supervisor(t)
	r := &runner{sup: s, at: layout{t.TempDir()}, o: Options{Report: told.note}}
	for _, name := range []string{"controller", "app-a", "sidecar-a", "gateway-g"} {
		mustRun(t, s, shell(name, "exec sleep 1000"))
	}
	if err := errors.Join(r.writeProcesses(), os.MkdirAll(r.at.shortDir(), 0o700)); err != nil {
		t.Fatal(err)
	}
	r.stopAll()
	for _, path := range []string{r.at.processes(), r.at.shortDir()} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	if len(s.Names()) > 0 || slices.ContainsFunc(told.all, func(string) bool { return true }) {
		t.Errorf("runs: %v, told: %q", s.Names(), told.all)
	}
}
