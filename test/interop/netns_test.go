package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// netns is a network namespace of the test's own: that of a pod, or of a node.
type netns struct {
	t   *testing.T
	fd  int
	tid int // of a thread in it, which stays until the test ends
}

// newNetns makes a namespace that has its loopback interface up. It needs root.
func newNetns(t *testing.T) *netns {
	t.Helper()
	n := &netns{t: t, fd: -1}
	made, end, gone := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		defer close(gone)
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			n.tid = unix.Gettid()
			n.fd, err = unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", n.tid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
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
	n.ip("link", "set", "lo", "up")
	return n
}

// do runs f on a thread in the namespace: sockets that it makes and programs that
// it starts belong there.
func (n *netns) do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// ip runs the program of that name.
func (n *netns) ip(args ...string) {
	n.t.Helper()
	if err := n.do(func() error {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}); err != nil {
		n.t.Fatal(err)
	}
}

// listen opens a port.
func (n *netns) listen(at string) net.Listener {
	n.t.Helper()
	var l net.Listener
	if err := n.do(func() (err error) { l, err = net.Listen("tcp", at); return err }); err != nil {
		n.t.Fatal(err)
	}
	return l
}

// dial connects from the namespace.
func (n *netns) dial(at string) (c net.Conn, err error) {
	err = n.do(func() (err error) { c, err = (&net.Dialer{Timeout: patience}).Dial("tcp", at); return err })
	return c, err
}

// needsNamespaces skips the test without what makes namespaces and routes in
// them, and fails it in CI.
func needsNamespaces(t *testing.T) {
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

// joined makes an Ethernet of the node and its pods: the node has number 1.
func joined(node *netns, pods ...*netns) {
	node.ip("link", "add", "br0", "type", "bridge")
	node.ip("link", "set", "br0", "up")
	addressed(node, "br0", 1)
	for i, p := range pods {
		end := fmt.Sprintf("pod%d", i)
		node.ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(p.tid))
		node.ip("link", "set", end, "master", "br0", "up")
		p.ip("link", "set", "eth0", "up")
		addressed(p, "eth0", i+2)
		p.ip("route", "add", "default", "via", podAddress(1))
		p.ip("-6", "route", "add", "default", "via", podAddress6(1))
	}
}

func addressed(n *netns, device string, number int) {
	n.ip("addr", "add", podAddress(number)+"/16", "dev", device)
	n.ip("-6", "addr", "add", podAddress6(number)+"/64", "dev", device, "nodad")
}

func podAddress(number int) string { return fmt.Sprintf("10.244.0.%d", number) }

func podAddress6(number int) string { return fmt.Sprintf("fd00:244::%x", number) }
