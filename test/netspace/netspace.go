// Package netspace makes network namespaces for tests: those of pods, or of a node.
// It needs root, and is for tests alone.
package netspace

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds a connection.
const patience = 30 * time.Second

// Space is a network namespace of the test's own.
type Space struct {
	TID int // of a thread in it, which stays until the test ends
	t   *testing.T
	fd  int
}

// New makes a namespace that has its loopback interface up.
func New(t *testing.T) *Space {
	t.Helper()
	n := &Space{t: t, fd: -1}
	made, end, gone := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		defer close(gone)
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			n.TID = unix.Gettid()
			n.fd, err = unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", n.TID), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		made <- err
		<-end
	}()
	t.Cleanup(func() {
		close(end)
		<-gone
		_ = unix.Close(n.fd)
	})
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	n.IP("link", "set", "lo", "up")
	return n
}

// Enter puts the thread of the calling goroutine, which has to be locked to it and
// never unlocked, into the namespace.
func (n *Space) Enter() error { return unix.Setns(n.fd, unix.CLONE_NEWNET) }

// Do runs f on a thread in the namespace: sockets that it makes and programs that
// it starts belong there.
func (n *Space) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := n.Enter(); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// IP runs the program of that name.
func (n *Space) IP(args ...string) {
	n.t.Helper()
	if err := n.Do(func() error {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}); err != nil {
		n.t.Fatal(err)
	}
}

// Listen opens a port.
func (n *Space) Listen(at string) net.Listener {
	n.t.Helper()
	var l net.Listener
	if err := n.Do(func() (err error) { l, err = net.Listen("tcp", at); return err }); err != nil {
		n.t.Fatal(err)
	}
	return l
}

// Dial connects from the namespace.
func (n *Space) Dial(at string) (c net.Conn, err error) {
	err = n.Do(func() (err error) { c, err = (&net.Dialer{Timeout: patience}).Dial("tcp", at); return err })
	return c, err
}

// Needs skips the test without what makes namespaces and routes in
// them, and fails it in CI.
func Needs(t *testing.T) {
	t.Helper()
	missing := ""
	if os.Geteuid() != 0 {
		missing = "root"
	} else if _, err := exec.LookPath("ip"); err != nil {
		missing = "ip (package iproute2)"
	}
	switch {
	case missing == "":
	case os.Getenv("CI") == "true":
		t.Fatal(missing + " is missing")
	default:
		t.Skip("SKIPPED, NOT PASSED: " + missing + " is missing")
	}
}
