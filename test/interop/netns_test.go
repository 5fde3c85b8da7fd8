package interop

import (
	"fmt"
	"net"
	"testing"

	"github.com/meshc/meshc/test/netspace"
)

// netns is a network namespace of the test's own: that of a pod, or of a node.
type netns struct {
	*netspace.Space
	t *testing.T
}

func newNetns(t *testing.T) *netns {
	t.Helper()
	return &netns{netspace.New(t), t}
}

// needsNamespaces skips the test without what makes namespaces and routes in
// them, and fails it in CI.
func needsNamespaces(t *testing.T) {
	t.Helper()
	netspace.Needs(t)
}

func (n *netns) do(f func() error) error { return n.Do(f) }

func (n *netns) ip(args ...string) {
	n.t.Helper()
	n.IP(args...)
}

func (n *netns) listen(at string) net.Listener {
	n.t.Helper()
	return n.Listen(at)
}

func (n *netns) dial(at string) (net.Conn, error) { return n.Dial(at) }

// joined makes an Ethernet of the node and its pods: the node has number 1.
func joined(node *netns, pods ...*netns) {
	node.ip("link", "add", "br0", "type", "bridge")
	node.ip("link", "set", "br0", "up")
	addressed(node, "br0", 1)
	for i, p := range pods {
		end := fmt.Sprintf("pod%d", i)
		node.ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(p.TID))
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
