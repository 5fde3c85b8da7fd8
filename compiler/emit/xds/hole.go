package xds

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/meshc/meshc/compiler/model"
)

// holeKind says which addresses of a workload a hole is for.
type holeKind uint8

const (
	outboundHole holeKind = iota // from which a client calls
	inboundHole                  // where peers reach a server
	appHole                      // where the application listens
)

// hole is an address of a proxy's own that is left out of what it shares. The
// port stays: proxies with other ports share nothing.
type hole struct {
	kind holeKind
	key  string // in Outbound; of the others, the port in decimal
	mark netip.AddrPort
}

// address is what fills the hole.
func (h *hole) address(w *model.Workload) string {
	if h.kind == outboundHole {
		return w.Outbound[h.key]
	}
	port, _ := strconv.ParseUint(h.key, 10, 16) // leave wrote it
	if h.kind == inboundHole {
		return w.Inbound[uint16(port)]
	}
	return w.App[uint16(port)]
}

// holes are those of one unit.
type holes struct {
	list  []hole
	ports []byte // on which the unit is bound, and where it is not
	none  bool   // an address is no IPv4 address, or there are too many
}

// clear forgets all of them.
func (h *holes) clear() *holes {
	h.list, h.ports, h.none = h.list[:0], h.ports[:0], false
	return h
}

// own is a copy that others' holes leave alone.
func (h *holes) own() *holes {
	return &holes{list: slices.Clone(h.list), none: h.none}
}

// leave makes a hole for an address; an empty address has none.
func (h *holes) leave(kind holeKind, key, at string) {
	if at == "" {
		h.ports = append(h.ports, "-,"...)
		return
	}
	addr, err := netip.ParseAddrPort(at)
	if err != nil || !addr.Addr().Is4() || len(h.list) > 250 {
		h.none = true
		return
	}
	h.ports = append(strconv.AppendUint(h.ports, uint64(addr.Port()), 10), ',')
	mark := netip.AddrFrom4([4]byte{255, 255, 255, byte(len(h.list))})
	h.list = append(h.list, hole{kind, key, netip.AddrPortFrom(mark, addr.Port())})
}

// placed gives a workload like w whose addresses are the marks of the holes.
func (h *holes) placed(w *model.Workload) *model.Workload {
	out := *w
	out.Outbound, out.Inbound, out.App = maps.Clone(w.Outbound), maps.Clone(w.Inbound), maps.Clone(w.App)
	for _, one := range h.list {
		port, _ := strconv.ParseUint(one.key, 10, 16) // of the kinds whose key is a port
		switch one.kind {
		case outboundHole:
			out.Outbound[one.key] = one.mark.String()
		case inboundHole:
			out.Inbound[uint16(port)] = one.mark.String()
		case appHole:
			out.App[uint16(port)] = one.mark.String()
		}
	}
	return &out
}
