package answer

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// clientOf is the address that rules of a gateway take for the client's: as it
// was given, or what those say in x-forwarded-for who are believed, or that of the
// connection; zero where only a header of the PROXY protocol would say it
// (Envoy: ConnectionManagerUtility::mutateRequestHeaders).
func clientOf(g *model.Gateway, l *model.GatewayListener, r *Request) netip.Addr {
	if r.Client.IsValid() && (!r.Source.IsValid() || g.TellsClient(l, r.Source)) {
		return r.Client
	}
	// With a header of the PROXY protocol, networks are held against the address that
	// it says, which is not given here.
	believed := g.TrustedHops > 0 || !l.ProxyProtocol && g.Believes(r.Source)
	if !l.Protocol.Opaque() && believed {
		if ip := forwardedFor(g, r); ip.IsValid() {
			return ip
		}
	}
	if l.ProxyProtocol {
		return netip.Addr{}
	}
	return r.Source
}

// forwardedFor is what proxies in front say: the entry that the first of the
// trusted hops has added, or the last that is not one of the trusted networks, and
// the first if all are. An entry that is no address says nothing.
func forwardedFor(g *model.Gateway, r *Request) netip.Addr {
	entries := strings.Split(strings.Join(r.Header("x-forwarded-for"), ","), ",")
	slices.Reverse(entries)
	if hops := int(g.TrustedHops); hops > 0 {
		if len(entries) < hops {
			return netip.Addr{}
		}
		return forwarder(entries[hops-1])
	}
	var last netip.Addr
	for _, entry := range entries {
		ip := forwarder(entry)
		if !ip.IsValid() {
			return netip.Addr{}
		}
		// As in Envoy, an IPv4 address in IPv6 form is in no network of IPv4.
		if last = ip; ip.Is4In6() || !g.Believes(ip) {
			break
		}
	}
	return last
}

// forwarder reads an entry; not valid: it is no address. A zone that is a number says
// nothing, and with one by name it is none: only the machine that wrote it knows it.
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
