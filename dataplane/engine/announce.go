package engine

import (
	"maps"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/proxyprotocol"
)

// Servers that are told whose a connection is (Envoy's upstream_proxy_protocol) are
// told once, at its beginning. So each client's connection has connections of its
// own to them, which no other client's requests go over, and which end with it.

// of gives the host to which requests of who go.
func (h *host) of(who *peerInfo) *host {
	v := h.pool.snap.Announce
	if v == proxyprotocol.None || !who.remote.IsValid() {
		return h
	}
	if own := who.told[h]; own != nil {
		return own
	}
	local, _ := netip.ParseAddrPort(who.peer.Local)
	own := &host{
		pool: h.pool, addr: h.addr, text: h.text, known: h.known, counts: h.counts, gone: h.gone, whole: h,
		hello: proxyprotocol.Append(nil, v, who.remote, local),
	}
	if !h.gone {
		own.place = len(h.told)
		h.told = append(h.told, own)
	}
	who.remember(own)
	return own
}

// fewTold is how many hosts a client's connection has before it is looked which of
// them are over.
const fewTold = 8

// remember keeps a host for the client's connection, and forgets those that are over
// when there are twice as many as were left the last time.
func (who *peerInfo) remember(own *host) {
	if who.told == nil {
		who.told, who.toldMost = map[*host]*host{}, fewTold
	}
	if len(who.told) >= who.toldMost {
		maps.DeleteFunc(who.told, func(_, own *host) bool { return own.over() })
		who.toldMost = max(fewTold, 2*len(who.told))
	}
	who.told[own.whole] = own
}

// over says that nothing goes to the host any more.
func (h *host) over() bool { return h.gone && h.conns == 0 && h.active == 0 }

// hangUp retires what is there for the connection of who, which is over.
func (who *peerInfo) hangUp() {
	for _, own := range who.told {
		own.whole.forgetTold(own)
		own.retire()
	}
	who.told = nil
}

// forgetTold takes own out of those of all clients, however many there are.
func (h *host) forgetTold(own *host) {
	last := len(h.told) - 1
	if own.place > last || h.told[own.place] != own {
		return // h is gone, and has let go of all
	}
	h.told[own.place] = h.told[last]
	h.told[own.place].place = own.place
	h.told[last] = nil
	h.told = h.told[:last]
}

// announce tells the server whose the connection is, in front of everything else;
// false: that was not possible.
func (h *host) announce(s *sock) bool {
	v, hello := h.pool.snap.Announce, h.hello
	switch {
	case v == proxyprotocol.None:
		return true
	case hello != nil:
	case v == proxyprotocol.V2:
		hello = proxyprotocol.AppendLocal(nil, v)
	default: // of version 1, as Envoy: the proxy's own
		sa, err := unix.Getsockname(s.fd)
		if err != nil {
			return false
		}
		hello = proxyprotocol.Append(nil, v, addrPort(sa), h.addr)
	}
	n, _ := s.writeRaw(hello) // an empty socket has room for it
	return n == len(hello)
}
