package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// giver hands out one listener.
type giver struct {
	l       *net.TCPListener
	retired chan struct{}
}

func (g *giver) addr() netip.AddrPort { return g.l.Addr().(*net.TCPAddr).AddrPort() }

func (g *giver) Socket(at netip.AddrPort) (*os.File, bool) {
	if at != g.addr() {
		return nil, false
	}
	f, err := g.l.File()
	return f, err == nil
}

func (g *giver) Retire() { close(g.retired) }

// old runs a process that hands over, until the test ends.
func old(t *testing.T) (*giver, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ho") // short: a socket address holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	g := &giver{l: l.(*net.TCPListener), retired: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, u, "node", g) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return g, path
}

// A connection that waits in the queue of the old process is the new one's.
func TestSocketsChangeHands(t *testing.T) {
	g, path := old(t)
	h, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if h.Has(netip.MustParseAddrPort("127.0.0.1:1")) {
		t.Error("a socket of an address where nobody listens")
	}
	waiting, err := net.Dial("tcp", g.addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	for range 2 { // it is asked for once
		if !h.Has(g.addr()) {
			t.Fatal("no socket")
		}
	}
	fd, ok := h.Take(g.addr())
	if !ok {
		t.Fatal("no socket")
	}
	f := os.NewFile(uintptr(fd), "taken")
	l, err := net.FileListener(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := h.Retire(); err != nil {
		t.Fatal(err)
	}
	<-g.retired
	g.l.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "x")
	c.Close()
	if b, err := io.ReadAll(waiting); string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Ask(path, "node"); !errors.Is(err, ErrNobody) {
		t.Errorf("after the end: %v", err)
	}
}

// Whoever goes away without taking over has changed nothing, and leaks nothing.
func TestHeirsThatGoAway(t *testing.T) {
	g, path := old(t)
	if _, err := Ask(path, "another"); err == nil || errors.Is(err, ErrNobody) {
		t.Errorf("another node: %v", err)
	}
	files := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(d)
	}
	before := files()
	for range 20 {
		h, err := Ask(path, "node")
		if err != nil {
			t.Fatal(err)
		}
		if !h.Has(g.addr()) {
			t.Fatal("no socket")
		}
		h.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); files() > before+1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors, had %d", files(), before)
		}
	}
	select {
	case <-g.retired:
		t.Error("retired")
	default:
	}
}

func TestForeignBytes(t *testing.T) {
	_, path := old(t)
	for _, raw := range []string{"\n", "GET / HTTP/1.1\r\n\r\n", greeting + "node\nsocket \nsocket x\nsocket 1.2.3.4:99999\nnonsense\n", string(make([]byte, 5000))} {
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, raw)
		_ = c.CloseWrite()
		oob := make([]byte, unix.CmsgSpace(4))
		for b := make([]byte, 1); ; {
			n, m, _, _, err := c.ReadMsgUnix(b, oob)
			if m > 0 {
				t.Errorf("%.20q: got a descriptor", raw)
			}
			if err != nil || n == 0 {
				break
			}
		}
		c.Close()
	}
	h, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
}

// What cannot be accepted for a moment, as when no file can be opened, ends nothing.
func TestAcceptFailsForAMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, u, "node", &giver{retired: make(chan struct{})}) }()
	select {
	case err := <-done:
		t.Fatalf("ended: %v", err)
	case <-time.After(3 * acceptPause):
	}
	if err := u.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	h, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
