package engine

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestSlowReadersAreNotIdle: a reader that has taken a part of what waits for it
// has moved, although there is no room yet for more.
func TestSlowReadersAreNotIdle(t *testing.T) {
	to, reader := sockPair(t, 8<<10)
	to.append(make([]byte, 1<<20))
	to.w.now = 1
	d := &dconn{}
	d.w = to.w
	tun := &tunnel{d: d}
	var f flow
	var count int64
	step := func() {
		to.w.now++
		if tun.move(nil, to, &f, &count, nil) {
			t.Fatal("all of it fits")
		}
	}
	step()
	if tun.lastMove != to.w.now {
		t.Error("what the socket took was no move")
	}
	before := tun.lastMove
	step()
	if tun.lastMove != before {
		t.Error("a reader that takes nothing moves")
	}
	if n, err := unix.Read(reader, make([]byte, 64<<10)); n <= 0 || err != nil {
		t.Fatal(n, err)
	}
	to.writable = true
	step()
	if tun.lastMove != to.w.now {
		t.Error("a reader that has taken some is idle")
	}
}
