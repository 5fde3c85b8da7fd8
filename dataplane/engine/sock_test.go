package engine

import (
	"testing"

	"golang.org/x/sys/unix"
)

// sockPair is a sock without an event loop and the other end of its socket.
func sockPair(t *testing.T, sndbuf int) (s *sock, peer int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, sndbuf); err != nil {
		t.Fatal(err)
	}
	return &sock{w: &worker{}, fd: fds[0], writable: true}, fds[1]
}

// A reader that always leaves something behind must not make the output buffer
// grow with all that it has ever read.
func TestOutputOfASlowReaderIsBounded(t *testing.T) {
	s, peer := sockPair(t, 4096)
	sent, received := byte(0), byte(0)
	piece, got := make([]byte, 4096), make([]byte, 3000)
	for range 2000 {
		for s.room() >= len(piece) {
			for i := range piece {
				piece[i] = sent
				sent++
			}
			s.append(piece)
		}
		n, err := unix.Read(peer, got)
		if err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		for _, c := range got[:max(n, 0)] {
			if c != received {
				t.Fatalf("byte %d where %d was due", c, received)
			}
			received++
		}
		s.writable = true // as epoll would say
		if s.flush() == ioError {
			t.Fatal("write failed")
		}
		if !s.pendingOut() {
			t.Fatal("the reader was not slow")
		}
		if cap(s.out) > largeBuffer {
			t.Fatalf("the output buffer has grown to %d bytes", cap(s.out))
		}
	}
}
