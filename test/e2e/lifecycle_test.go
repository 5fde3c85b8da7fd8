package e2e

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ctrl-C leaves nothing behind, and the next `meshc up` finds addresses and
// identities as they were.
func TestUpEndsAndStartsAgain(t *testing.T) {
	m := started(t)
	addresses, identity := m.file("addresses.json"), m.svid()
	if err := m.up.Stop(syscall.SIGINT); err != nil {
		t.Errorf("meshc up after SIGINT: %v", err)
	}
	m.traces.none(m.Repo)
	if text, code, err := m.Meshc("status"); err != nil || code != 2 || !hasLine(text, "stale", "does not run") {
		t.Errorf("meshc status of a mesh that has ended: exit status %d, %v:\n%s", code, err, text)
	}
	m.start()
	if got := m.file("addresses.json"); got != addresses {
		t.Errorf("addresses were %s and are %s", addresses, got)
	}
	if m.svid() != identity {
		t.Error("a sidecar has another key or certificate than before")
	}
	users := m.traffic(2)
	users.more(50)
	users.end()
}

// When `meshc up` itself is killed, nothing that it started keeps running, and
// the next one takes over.
func TestUpKilled(t *testing.T) {
	m := started(t)
	identity := m.svid()
	if err := m.up.Stop(syscall.SIGKILL); err == nil {
		t.Error("killed with exit status 0")
	}
	m.traces.dead()
	if l := m.traces.listening(); len(l) > 0 {
		t.Errorf("ports are left open: %v", l)
	}
	m.start()
	if m.svid() != identity {
		t.Error("a sidecar has another key or certificate than before")
	}
	users := m.traffic(2)
	users.more(50)
	users.end()
}

func (m *mesh) file(name string) string {
	m.t.Helper()
	raw, err := os.ReadFile(filepath.Join(m.state(), name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(raw)
}

// svid is the key and the certificate of one sidecar.
func (m *mesh) svid() string { return m.file("proxies/sidecar-default.reviews-v1-0/identity/svid.pem") }

// A second `meshc up` of a mesh that runs is refused and harms nothing.
func TestUpTwice(t *testing.T) {
	m := started(t)
	users := m.traffic(2)
	out, code, err := m.Meshc("up", m.Repo)
	if err != nil || code != 2 || !strings.Contains(out, "is this mesh running already?") {
		t.Errorf("exit status %d, %v: %s", code, err, out)
	}
	users.more(50)
	users.end()
}

// A gateway port that is taken is named, with what to do about it, and the
// mesh comes up once it is free.
func TestGatewayPortTaken(t *testing.T) {
	m := newMesh(t)
	l, err := net.Listen("tcp", m.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	up, err := m.Up(&m.out, &m.out)
	if err != nil {
		t.Fatal(err)
	}
	m.up = up
	m.eventually("meshc up names the taken port", func() error {
		if !hasLine(m.out.String(), "gateway", m.Gateway, "address already in use", "local.yaml") {
			return errors.New(m.out.String())
		}
		return nil
	})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.WaitReady(t.Context(), up, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
}

// What `make demo` runs leaves nothing behind after Ctrl-C.
func TestDemoEnds(t *testing.T) {
	tr := newTraces(t, "")
	dir := t.TempDir() // looks like the project after make build
	for name, target := range map[string]string{"bin": bin, "examples": filepath.Join(root, "examples")} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var out output
	cmd := exec.Command(filepath.Join(bin, "demo"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), tr.env()...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), "Press Ctrl-C"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not ready after a minute:\n%s", out.String())
		}
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("demo: %v\n%s", err, out.String())
		}
	case <-time.After(time.Minute):
		t.Fatal("demo did not end within a minute of SIGINT")
	}
	tr.none(dir)
}

// The demo says what is missing.
func TestDemoWithoutBuild(t *testing.T) {
	cmd := exec.Command(filepath.Join(bin, "demo"))
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("make build")) {
		t.Errorf("%v: %s", err, out)
	}
}
