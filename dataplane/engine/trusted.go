package engine

import (
	"net/netip"
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
	if client := s.forwardedFor(hops - 1); client.IsValid() {
		s.client = client
	}
}

// forwardedFor gives an address of x-forwarded-for, counted from its end; not
// valid if there is none. Several fields are one list.
func (s *stream) forwardedFor(skip int) netip.Addr {
	fields := s.req.Fields
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Name != "x-forwarded-for" {
			continue
		}
		for rest, more := fields[i].Value, true; more; skip-- {
			entry := rest
			at := strings.LastIndexByte(rest, ',')
			if more = at >= 0; more {
				rest, entry = rest[:at], rest[at+1:]
			}
			if skip == 0 {
				ip, _ := netip.ParseAddr(strings.Trim(entry, " \t"))
				return ip
			}
		}
	}
	return netip.Addr{}
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
