// Package loopback gives addresses to programs that tests start. It is for tests
// alone.
package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

// Address is host:port, of 127.0.0.0/8, where nobody listens. It is free until a
// program is given it: a port of 127.0.0.1 would be one that the kernel may by then
// have given to any connection of this machine as its own end (ip(7),
// ip_local_port_range), while nobody connects from a host that is drawn here. The
// networks from 127.80.0.0 on are left to meshes on this machine.
func Address(t testing.TB) string {
	t.Helper()
	host := netip.AddrFrom4([4]byte{127, byte(1 + rand.IntN(79)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))})
	l, err := net.Listen("tcp", netip.AddrPortFrom(host, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Localhost is as Address, of 127.0.0.1, for what is reached by the name localhost.
// The port is below those that the kernel gives away.
func Localhost(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port of 127.0.0.1 is free")
	return ""
}
