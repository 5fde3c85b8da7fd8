package engine

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/dataplane/filter"
)

// findClient makes the client who the trusted proxies in front say it is: the
// last address but hops-1 of x-forwarded-for, before ours is appended. Where they
// do not say it is the peer itself (xff_num_trusted_hops).
func (s *stream) findClient(hops int) {
	if hops == 0 {
		return
	}
	s.takeClient(s.forwardedFor(hops - 1))
}

// takeClient makes the client who entry says, if there is one. One that is no address
// is counted, and told once: what writes it has every client pass for the proxy.
func (s *stream) takeClient(entry string, ok bool) {
	if !ok {
		return
	}
	if client := forwarder(entry); client.IsValid() {
		s.client = client
		return
	}
	s.chain.stats.forwardedInvalid.Inc()
	s.w.e.forwardedTold.Do(func() {
		s.w.e.log.Warn("x-forwarded-for of a trusted proxy has an entry that is no address: the proxy is taken for the client (told once)",
			"chain", s.chain.snap.Name, "peer", s.who.remote.Addr(), "entry", entry[:min(len(entry), maxToldEntry)])
	})
}

// maxToldEntry bounds what is told of an entry, in bytes: the longest address has 45.
const maxToldEntry = 64

// forwardedFor gives an entry of x-forwarded-for, counted from its end; false if there
// are fewer.
func (s *stream) forwardedFor(skip int) (at string, ok bool) {
	s.eachForwarded(func(entry string) bool {
		at, ok = entry, skip == 0
		skip--
		return skip >= 0
	})
	return at, ok
}

// eachForwarded calls f with the entries of x-forwarded-for from the last to the
// first, until it says no more. Several fields are one list.
func (s *stream) eachForwarded(f func(entry string) bool) {
	fields := s.req.Fields
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Name != "x-forwarded-for" {
			continue
		}
		for rest, more := fields[i].Value, true; more; {
			entry := rest
			at := strings.LastIndexByte(rest, ',')
			if more = at >= 0; more {
				rest, entry = rest[:at], rest[at+1:]
			}
			if !f(entry) {
				return
			}
		}
	}
}

// forwarder reads an entry; not valid: it is no address. A zone says nothing here: it
// is left out where it is a number, and where it is a name, which another machine has
// given, the entry is no address (as in Envoy, but that it knows its machine's names of
// links).
func forwarder(entry string) netip.Addr {
	ip, err := netip.ParseAddr(strings.Trim(entry, " \t"))
	if zone := ip.Zone(); err == nil && zone != "" {
		_, err = strconv.ParseUint(zone, 10, 32)
	}
	if err != nil {
		return netip.Addr{}
	}
	return ip.WithZone("")
}

// findClientBehind makes the client who stands last in x-forwarded-for, before
// ours is appended, and is in none of the networks; the first if all are. From
// other networks, where an entry so far is no address, and where nothing is said,
// it is the peer itself (xff_trusted_cidrs).
func (s *stream) findClientBehind(networks []netip.Prefix) {
	if !inside(networks, s.who.remote.Addr().Unmap()) {
		return
	}
	var last string
	var ok bool
	s.eachForwarded(func(entry string) bool {
		last, ok = entry, true
		return inside(networks, forwarder(entry))
	})
	s.takeClient(last, ok)
}

func inside(networks []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// peer is who the request is from, as far as it is known. Envoy gives what a
// header says the port 0.
func (s *stream) peer() filter.Peer {
	peer := s.who.peer
	if s.client.IsValid() {
		if peer.Direct == "" {
			peer.Direct = peer.Remote
		}
		peer.Remote = netip.AddrPortFrom(s.client, 0).String()
	}
	return peer
}
