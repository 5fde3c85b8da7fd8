package engine

import (
	"net/netip"
	"testing"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// TestThePortChoosesTheChain: chains for a port before those for every port, and
// these never in their place.
func TestThePortChoosesTheChain(t *testing.T) {
	chain := func(name string, port uint16, protocol string, names ...string) *chainView {
		return &chainView{snap: &snapshot.Chain{Name: name, Port: port, TransportProtocol: protocol, ServerNames: names}}
	}
	l := &listenerView{chains: map[uint16][]*chainView{
		80: {chain("tls", 80, "tls"), chain("named", 80, "tls", "a.example")}, 81: {chain("any", 81, "")}, 0: {chain("rest", 0, "")},
	}}
	for _, c := range []struct {
		port           uint16
		name, protocol string
		want           string
	}{
		{80, "", "tls", "tls"}, {80, "a.example", "tls", "named"}, {80, "", "raw_buffer", ""},
		{81, "", "raw_buffer", "any"}, {81, "a.example", "tls", "any"}, {82, "", "tls", "rest"},
	} {
		got := ""
		if v := l.pick(c.port, c.name, c.protocol, netip.Addr{}); v != nil {
			got = v.snap.Name
		}
		if got != c.want {
			t.Errorf("port %d, %q, %s: chain %q, want %q", c.port, c.name, c.protocol, got, c.want)
		}
	}
}

// TestTheClientsNetworkChoosesTheChain: the longest, behind name and protocol, which
// it never stands in for.
func TestTheClientsNetworkChoosesTheChain(t *testing.T) {
	chain := func(name, protocol, server string, networks ...string) *chainView {
		c := &snapshot.Chain{Name: name, TransportProtocol: protocol}
		if server != "" {
			c.ServerNames = []string{server}
		}
		for _, n := range networks {
			c.Sources = append(c.Sources, netip.MustParsePrefix(n))
		}
		return &chainView{snap: c}
	}
	l := &listenerView{chains: map[uint16][]*chainView{
		80: {
			chain("tls", "tls", "", "10.0.0.0/8"), chain("rest", "", ""), chain("wide", "", "", "10.0.0.0/8", "::/0"),
			chain("narrow", "", "", "10.1.0.0/16"), chain("named", "", "a.example", "10.0.0.0/8"),
		},
		81: {chain("every4", "", "", "0.0.0.0/0"), chain("other", "", "")},
	}}
	for _, c := range []struct {
		port                 uint16
		name, protocol, from string
		want                 string
	}{
		{80, "", "raw_buffer", "10.2.0.1", "wide"}, {80, "", "raw_buffer", "10.1.0.1", "narrow"}, {80, "", "raw_buffer", "192.0.2.1", "rest"},
		{80, "", "raw_buffer", "2001:db8::1", "wide"}, {80, "", "tls", "10.1.0.1", "tls"}, {80, "", "tls", "192.0.2.1", ""},
		{80, "a.example", "raw_buffer", "10.1.0.1", "named"}, {80, "a.example", "raw_buffer", "192.0.2.1", ""},
		{81, "", "raw_buffer", "192.0.2.1", "every4"}, {81, "", "raw_buffer", "2001:db8::1", "other"},
	} {
		got := ""
		if v := l.pick(c.port, c.name, c.protocol, netip.MustParseAddr(c.from)); v != nil {
			got = v.snap.Name
		}
		if got != c.want {
			t.Errorf("port %d, %q, %s, from %s: chain %q, want %q", c.port, c.name, c.protocol, c.from, got, c.want)
		}
	}
}

// TestTakers: by the exact address, then by the unspecified one of the family;
// none where nobody hands anything on.
func TestTakers(t *testing.T) {
	at := netip.MustParseAddrPort
	view := func(hand bool) *view {
		v := &view{listeners: map[string]*listenerView{}}
		for name, l := range map[string]*snapshot.Listener{
			"out":   {Addr: at("0.0.0.0:15001"), Also: []netip.AddrPort{at("[::]:15001")}, OriginalDst: true, HandOn: hand},
			"one":   {Addr: at("10.0.0.1:80"), Also: []netip.AddrPort{at("[fd00::1]:80")}, Unbound: true},
			"names": {Addr: at("0.0.0.0:80"), Unbound: true},
		} {
			l.Name = name
			v.listeners[name] = &listenerView{snap: l}
		}
		v.findTakers()
		return v
	}
	if v := view(false); v.takers != nil {
		t.Errorf("takers without a listener that hands on: %v", v.takers)
	}
	v := view(true)
	for to, want := range map[string]string{
		"10.0.0.1:80": "one", "[fd00::1]:80": "one", "10.0.0.2:80": "names", "[fd00::2]:80": "out",
		"10.0.0.1:81": "out", "10.0.0.2:15001": "out",
	} {
		if got := v.takerOf(v.listeners["out"], at(to)); got.snap.Name != want {
			t.Errorf("%s is %s's, want %s", to, got.snap.Name, want)
		}
	}
}

// TestSeveralAddresses: a listener has all of its addresses, by IPv6 those of
// IPv6 alone, and keeps them when it changes.
func TestSeveralAddresses(t *testing.T) {
	m := newMesh(silent(t))
	l := m.config.Listeners["in"]
	l.Chains = []*snapshot.Chain{answering("both", nil)}
	e := start(t, m)
	port := e.config.Load().Listeners["in"].Addr.Port()
	if port != 0 {
		t.Fatalf("port %d", port)
	}
	first, _ := e.Addr("in")
	any4, any6 := netip.AddrPortFrom(netip.IPv4Unspecified(), 0), netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	next := *m.config
	both := *l
	both.Also = []netip.AddrPort{any4, any6}
	unbound := *l
	unbound.Name, unbound.Addr, unbound.Unbound = "unbound", netip.MustParseAddrPort("192.0.2.1:80"), true
	next.Listeners = map[string]*snapshot.Listener{"in": &both, "unbound": &unbound}
	if err := e.Apply(&next); err != nil {
		t.Fatal(err)
	}
	if again, _ := e.Addr("in"); again != first {
		t.Errorf("moved from %s to %s", first, again)
	}
	if _, bound := e.Addr("unbound"); bound {
		t.Error("what is bound nowhere has an address")
	}
	e.mu.Lock()
	bound := len(e.current.listeners)
	e.mu.Unlock()
	if bound != 3 {
		t.Errorf("%d sockets, want 3", bound)
	}
	twice := unbound
	twice.Name = "twice"
	next.Listeners = map[string]*snapshot.Listener{"in": &both, "unbound": &unbound, "twice": &twice}
	if err := e.Apply(&next); err == nil {
		t.Error("two listeners of one address are taken")
	}
}
