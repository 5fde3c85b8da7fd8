package xds

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"github.com/meshc/meshc/compiler/model"
)

// many is the shop with n instances of web.
func many(n int) *Desired {
	d := shop()
	i := slices.IndexFunc(d.Workloads, workloadOf("web"))
	web := d.Workloads[i]
	d.Workloads = slices.Delete(d.Workloads, i, i+1)
	for i := range n {
		w := *web
		w.ID = fmt.Sprintf("web-%d", i)
		d.Workloads = append(d.Workloads, &w)
	}
	return d
}

// TestReconnectStormSendsNothing: proxies that all lose their streams at once
// are sent nothing that they have, and still count as programmed.
func TestReconnectStormSendsNothing(t *testing.T) {
	const proxies, perConn = 200, 40
	c := startController(t, Options{})
	c.set("c1", many(proxies))
	cert := c.ca.issue(spiffeID("web"))
	connect := func(before []*rawClient) []*rawClient {
		var conn *grpc.ClientConn
		var all []*rawClient
		for i := range proxies {
			if i%perConn == 0 {
				conn = c.dial(cert)
			}
			p := c.client(conn, false)
			if before != nil {
				p.got, p.subs = before[i].got, before[i].subs
			}
			all = append(all, p.start(fmt.Sprintf("%s~default/web-%d", model.RoleSidecar, i)))
		}
		c.awaitProgrammed("c1", proxies)
		return all
	}
	first := connect(nil)
	for _, p := range first {
		p.close()
	}
	c.await("nobody connected", func() bool {
		return !slices.ContainsFunc(c.Status(), func(n NodeStatus) bool { return n.Connected() })
	})
	for i, p := range connect(first) {
		if log := p.events(); len(log) != 0 {
			t.Errorf("proxy %d is sent %q", i, log)
		}
	}
}

// TestSilentClientHoldsUpNobody: a client that never answers and one that
// never reads leave others, and SetDesired, alone.
func TestSilentClientHoldsUpNobody(t *testing.T) {
	c := startController(t, Options{})
	c.set("c1", many(3))
	conn := c.dial(c.ca.issue(spiffeID("web")))
	deaf := c.client(conn, false)
	deaf.ask("sidecar~default/web-0", CDS, "", nil, "", true)
	deaf.ask("", LDS, "", nil, "", true)
	close(deaf.done) // it has no reader
	c.client(conn, false).start("sidecar~default/web-1")
	c.awaitProgrammed("c1", 1)
	for i := range 50 {
		d := many(3)
		d.Mesh.Services[0].Routes[0].Name = fmt.Sprintf("all-%d", i)
		c.set(fmt.Sprintf("d%d", i), d)
	}
	c.awaitProgrammed("d49", 1)
	n := c.node("sidecar~default/web-0")
	if !n.Connected() || n.ProgrammedOn("d49") {
		t.Errorf("the silent client is %+v", n)
	}
}
