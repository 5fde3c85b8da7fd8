package interop

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
)

// places hands out loopback addresses for listeners of proxies, which cannot
// choose a port themselves: each is an IP address of its own, from a part of
// 127/8 below the networks that package lab draws from (127.80 and above) and
// the default of meshc up (127.77), whose open ports the end-to-end tests count.
var places = struct {
	block uint32
	next  atomic.Uint32
}{block: 20 + rand.Uint32N(50)}

const placePort = 18080

func newPlace(t testing.TB) string {
	t.Helper()
	for range 100 {
		n := places.next.Add(1)
		at := fmt.Sprintf("127.%d.%d.%d:%d", places.block, 1+n/250, 1+n%250, placePort)
		if l, err := net.Listen("tcp", at); err == nil {
			l.Close()
			return at
		}
	}
	t.Fatal("no loopback address is free")
	return ""
}
