package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/stock"
)

// kind is a data plane.
type kind string

const (
	envoy kind = "envoy"
	meshc kind = "meshc"
)

var kinds = []kind{envoy, meshc}

// proxy is one running data plane.
type proxy struct {
	t     *testing.T
	kind  kind
	name  string
	node  string
	admin *http.Client
	log   *accessLog
	pid   int // of the program that was started last
}

// startProxy runs a data plane of k for w, whose identity is id, led by p.
func (p *plane) startProxy(k kind, w *model.Workload, id string) *proxy {
	t := p.t
	t.Helper()
	dir := p.prepare(k, w, id)
	at := func(name string) string { return filepath.Join(dir, name) }
	identity := []string{"--secrets-dir", p.secretsDir, "--ca-address", p.caAddr, "--ca-root", p.rootFile, "--join-token-file", at("token"), "--identity-dir", at("identity")}
	x := &proxy{t: t, kind: k, name: w.ID, node: w.NodeID(), admin: unixClient(t, at("admin.sock")), log: newAccessLog()}
	switch k {
	case envoy:
		x.start(proxyBinary(t), nil, append([]string{"agent", "--socket", at("agent.sock")}, identity...)...)
		x.start(stock.Envoy(t), x.log, "-c", at("bootstrap.json"), "--use-dynamic-base-id", "--concurrency", "1",
			"--drain-strategy", "immediate", // a connection from before a change ends with its next answer
			"--log-level", "warning", "--file-flush-interval-msec", "10")
	case meshc:
		x.start(proxyBinary(t), x.log, append([]string{"-c", at("bootstrap.json"), "--workers", "1", "--last-good", at("last-good")}, identity...)...)
	}
	return x
}

// prepare makes a directory with the bootstrap and the join token of w.
func (p *plane) prepare(k kind, w *model.Workload, id string) string {
	t := p.t
	t.Helper()
	dir := filepath.Join(p.dir, w.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	boot, err := emitxds.Bootstrap(emitxds.BootstrapOptions{
		Envoy: k == envoy, Metrics: p.mesh.MetricsOf(w), NodeID: w.NodeID(), Cluster: w.Service.String(), Version: w.Version, AdminSocket: at("admin.sock"), AgentSocket: at("agent.sock"),
		Controller: p.adsAddr, ControllerID: model.SPIFFEID(domain, "meshc-system", "meshc-controller"),
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := emitxds.JSON(boot)
	if err != nil {
		t.Fatal(err)
	}
	token, err := p.authority.CreateJoinToken(id, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"bootstrap.json": config, "token": []byte(token)} {
		if err := os.WriteFile(at(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// start runs a program until the test ends. Its output goes to log; its
// messages are shown if the test fails.
func (x *proxy) start(binary string, log io.Writer, args ...string) {
	x.launch(exec.Command(binary, args...), log, func(f func() error) error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		return f()
	})
}

// launch runs cmd until the test ends, started and waited for within in, which
// keeps to one thread.
func (x *proxy) launch(cmd *exec.Cmd, log io.Writer, in func(func() error) error) {
	// The kernel ends the program with the thread that started it, which is
	// kept for that: a test that is killed leaves nothing behind.
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	var messages tail
	cmd.Stdout, cmd.Stderr = log, &messages
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		_ = in(func() error {
			started <- cmd.Start()
			ended <- cmd.Wait()
			return nil
		})
	}()
	if err := <-started; err != nil {
		x.t.Fatal(err)
	}
	x.pid = cmd.Process.Pid
	x.t.Cleanup(func() {
		select {
		case err := <-ended:
			x.t.Errorf("%s ended by itself: %v", x.name, err)
		default:
			_ = cmd.Process.Kill()
			<-ended
		}
		if x.t.Failed() {
			x.t.Logf("%s: %s", x.name, messages.String())
		}
	})
}

// tail keeps the last part of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, p...)
	if extra := len(w.b) - 8<<10; extra > 0 {
		w.b = w.b[extra:]
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.b)
}

func unixClient(t *testing.T, socket string) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// stats gives the counters whose name matches filter, from Envoy's admin
// endpoint.
func (x *proxy) stats(filter string) map[string]string {
	x.t.Helper()
	r, err := x.admin.Get("http://admin/stats?filter=" + filter)
	if err != nil {
		x.t.Fatal(err)
	}
	defer r.Body.Close()
	out := map[string]string{}
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ": "); ok {
			out[name] = value
		}
	}
	return out
}

// refusedNothing fails the test if Envoy refused a resource.
func (x *proxy) refusedNothing() {
	x.t.Helper()
	if x.kind != envoy {
		return
	}
	counters := x.stats("update_rejected$")
	if len(counters) == 0 {
		x.t.Errorf("%s: no update_rejected counter", x.name)
	}
	for name, value := range counters {
		if value != "0" {
			x.t.Errorf("%s: %s is %s", x.name, name, value)
		}
	}
}

// entry is a line of an access log.
type entry map[string]any

func (e entry) text(field string) string {
	if v := e[field]; v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// accessLog collects the lines that a proxy writes.
type accessLog struct {
	mu      sync.Mutex
	partial []byte
	entries []entry
	other   []string
	more    chan struct{}
	deaf    atomic.Bool // nothing is kept
}

func newAccessLog() *accessLog { return &accessLog{more: make(chan struct{})} }

func (l *accessLog) Write(p []byte) (int, error) {
	if l.deaf.Load() {
		return len(p), nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		line, rest, ok := bytes.Cut(l.partial, []byte("\n"))
		if !ok {
			break
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			l.other = append(l.other, string(line))
		} else {
			l.entries = append(l.entries, e)
		}
		l.partial = rest
	}
	close(l.more)
	l.more = make(chan struct{})
	return len(p), nil
}

// mark is where the log ends now.
func (l *accessLog) mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// find waits for the line, after mark, of the exchange that has the id. A request
// that was never read has none: it is known by the address that it came from.
func (l *accessLog) find(mark int, addr, id string) entry {
	timeout := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		entries, more := l.entries[mark:], l.more
		l.mu.Unlock()
		for _, e := range entries {
			if of := e.text(caseField); of == id || of == "" && e.text("downstream") == addr {
				return e
			}
		}
		select {
		case <-more:
		case <-timeout:
			return entry{"missing": true}
		}
	}
}
