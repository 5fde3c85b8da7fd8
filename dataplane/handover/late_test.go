package handover

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// late answers when it is let.
type late struct {
	giver
	asked   chan struct{} // for each question about a socket
	let     chan struct{}
	retires atomic.Int32
}

func (g *late) Socket(at netip.AddrPort) (*os.File, bool) {
	g.asked <- struct{}{}
	<-g.let
	return g.giver.Socket(at)
}

func (g *late) Retire() {
	g.retires.Add(1)
	<-g.let
}

// slow runs a process that hands over late, until the test ends.
func slow(t *testing.T) (*late, string) {
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
	g := &late{giver: giver{l: l.(*net.TCPListener)}, asked: make(chan struct{}, 100), let: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, u, "node", g) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-g.let:
		default:
			close(g.let)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return g, path
}

// An answer that comes too late is not taken for that to the next question.
func TestLateAnswerIsNobodys(t *testing.T) {
	g, path := slow(t)
	h, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.patience = 3 * time.Second
	has := make(chan bool, 1)
	go func() { has <- h.Has(netip.MustParseAddrPort("127.0.0.1:1")) }()
	<-g.asked // and is not answered in time
	<-g.asked // again
	close(g.let)
	if <-has {
		t.Error("a socket that nobody has given")
	}
	if !h.Has(g.addr()) || h.Lost() != nil {
		t.Errorf("nothing is answered any more: %v", h.Lost())
	}
}

// Who does not answer twice is asked no more about sockets, however many there are.
func TestWhoHangsIsGivenUp(t *testing.T) {
	g, path := slow(t)
	h, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.patience = 20 * time.Millisecond
	for port := range uint16(20) {
		if h.Has(netip.AddrPortFrom(g.addr().Addr(), port+1)) {
			t.Fatal("an answer that nobody has given")
		}
	}
	if n := len(g.asked); n > 2 || h.Lost() == nil {
		t.Errorf("asked %d times, %v", n, h.Lost())
	}
}

// All questions together have a bound, also where each is answered at the second try.
func TestAllQuestionsHaveABound(t *testing.T) {
	g, path := slow(t)
	h, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.left = 20 * time.Millisecond
	begun := time.Now()
	if h.Has(g.addr()) || h.Has(netip.MustParseAddrPort("127.0.0.1:1")) {
		t.Error("an answer that nobody has given")
	}
	if took := time.Since(begun); took > patience/2 || h.Lost() == nil || len(g.asked) > 1 {
		t.Errorf("%s, asked %d times, %v", took, len(g.asked), h.Lost())
	}
}

// One that hangs keeps no other from taking over, and one alone does.
func TestHeirsDoNotWaitForEachOther(t *testing.T) {
	g, path := slow(t)
	hangs, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	blocked, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	defer blocked.Close()
	has := make(chan bool, 1)
	go func() { has <- blocked.Has(g.addr()) }()
	<-g.asked
	first, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	second, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 2)
	for _, h := range []*Heir{first, second} {
		go func() { results <- h.Retire() }()
	}
	if err := <-results; err == nil {
		t.Error("retired before it was")
	}
	close(g.let)
	if err := <-results; err != nil {
		t.Errorf("nobody has taken over: %v", err)
	}
	<-has
	if n := g.retires.Load(); n != 1 {
		t.Errorf("told to retire %d times", n)
	}
}

// However many hang, there is room for another.
func TestHeirsThatHang(t *testing.T) {
	g, path := old(t)
	for range 3 * maxHeirs {
		h, err := Ask(path, "node")
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if !h.Has(g.addr()) {
			t.Fatal("no socket")
		}
	}
}

// Who has asked for the end need not wait for the answer.
func TestRetireIsNotTakenBack(t *testing.T) {
	g, path := slow(t)
	h, err := Ask(path, "node")
	if err != nil {
		t.Fatal(err)
	}
	h.patience = 20 * time.Millisecond
	if err := h.Retire(); err == nil {
		t.Error("retired before it was")
	}
	close(g.let)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		again, err := Ask(path, "node")
		if err == nil {
			again.Close()
		} else if g.retires.Load() == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it has not retired")
		}
	}
}
