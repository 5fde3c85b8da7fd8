package interop

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// line is one proxy after the other in the same place.
type line struct {
	t        *testing.T
	binary   string
	args     []string
	now      *exec.Cmd
	ended    chan error
	messages *tail
}

// startLine runs a meshc-proxy for w that the next may take the place of.
func (p *plane) startLine(w *model.Workload, id string) (*line, *proxy) {
	t := p.t
	t.Helper()
	dir := p.prepare(meshc, w, id)
	at := func(name string) string { return filepath.Join(dir, name) }
	l := &line{t: t, binary: proxyBinary(t), messages: &tail{}, args: []string{
		"-c", at("bootstrap.json"), "--workers", "1", "--last-good", at("last-good"), "--secrets-dir", p.secretsDir, "--ca-address", p.caAddr, "--ca-root", p.rootFile,
		"--join-token-file", at("token"), "--identity-dir", at("identity"), "--hot-restart-socket", at("restart.sock"),
	}}
	l.start()
	t.Cleanup(func() {
		_ = l.now.Process.Kill()
		<-l.ended
		if t.Failed() {
			t.Logf("%s: %s", w.ID, l.messages)
		}
	})
	return l, &proxy{t: t, kind: meshc, name: w.ID, node: w.NodeID(), admin: unixClient(t, at("admin.sock")), log: newAccessLog()}
}

// start runs another process. Its thread is kept, with which the kernel ends it.
func (l *line) start() {
	cmd := exec.Command(l.binary, l.args...)
	cmd.Stderr = l.messages
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		l.t.Fatal(err)
	}
	l.now, l.ended = cmd, ended
}

// next starts a process that takes the place of the one before, and waits until
// that one has ended in good order.
func (l *line) next() {
	l.t.Helper()
	old := l.ended
	l.start()
	select {
	case err := <-old:
		if err != nil {
			l.t.Errorf("the process before: %v", err)
		}
	case err := <-l.ended:
		l.t.Fatalf("the process after: %v: %s", err, l.messages)
	case <-time.After(2 * patience):
		l.t.Fatalf("the process before does not end: %s", l.messages)
	}
}

// Proxies are replaced by others, 100 times with MESHC_SOAK: no connection is
// refused, and no request fails.
func TestHotRestartsUnderLoad(t *testing.T) {
	b, at := placeNever(t)
	commit := b.plane.set(b.mesh, b.workloads)
	var lines []*line
	for id := range b.manned {
		w := b.placed[id]
		identity := model.SPIFFEID(domain, "default", w.Service.Name)
		l, x := b.plane.startLine(w, identity)
		lines, b.proxies[id] = append(lines, l), x
	}
	b.plane.programmed(commit, b.all()...)
	for _, at := range []string{at.h1, at.h2, at.grpc, at.tcp} {
		b.listening(at)
	}
	users := startCrowd(t, at)
	count := scale(3, 100)
	for range count {
		for _, l := range lines {
			l.next()
		}
	}
	for _, x := range b.all() {
		if got := x.stats("envoy_cluster_upstream_rq_total"); len(got) == 0 {
			t.Errorf("%s: the last process does not serve the admin endpoint", x.name)
		}
	}
	users.end(t)
	t.Logf("%d restarts of %d proxies", count, len(lines))
}

// A process that ends before it has taken over has changed nothing; one that
// finds nobody starts as always.
func TestHotRestartThatFails(t *testing.T) {
	b, at := placeNever(t)
	commit := b.plane.set(b.mesh, b.workloads)
	w := b.placed["web-meshc"]
	l, x := b.plane.startLine(w, model.SPIFFEID(domain, "default", "web"))
	b.plane.programmed(commit, x)
	b.listening(at.h1)
	users := startCrowd(t, ways{h1: at.h1, grpc: at.grpc, tcp: at.tcp})
	good := l.args
	for range 3 {
		cmd := exec.Command(l.binary, append(append([]string{}, good...), "--identity-dir", "/dev/null/none")...)
		if err := cmd.Run(); err == nil {
			t.Error("started without an identity")
		}
	}
	l.next()
	for users.asked["h1"].Load() < 50 || users.asked["grpc"].Load() < 50 || users.asked["tcp"].Load() < 50 {
		time.Sleep(time.Millisecond)
	}
	users.end(t)
	if err := l.now.Process.Kill(); err != nil { // what it leaves behind is in nobody's way
		t.Fatal(err)
	}
	<-l.ended
	l.start()
	b.listening(at.h1)
	again := startCrowd(t, ways{h1: at.h1})
	for again.asked["h1"].Load() < 50 {
		time.Sleep(time.Millisecond)
	}
	again.end(t)
}
