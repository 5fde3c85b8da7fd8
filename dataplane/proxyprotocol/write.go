package proxyprotocol

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Version of a header that is written.
type Version uint8

// Versions. None writes nothing.
const (
	None Version = iota
	V1
	V2
)

// Append appends the header of a connection that came from source and went to
// destination. Where those are not of one family of addresses, it says that it is
// not known whose the connection is.
func Append(dst []byte, v Version, source, destination netip.AddrPort) []byte {
	source, destination = plain(source), plain(destination)
	known := source.IsValid() && destination.IsValid() && source.Addr().Is4() == destination.Addr().Is4()
	switch {
	case !known:
		return AppendLocal(dst, v)
	case v == V1:
		return append1(dst, source, destination)
	case v == V2:
		return append2(dst, source, destination)
	}
	return dst
}

// AppendLocal appends the header of a connection of the proxy's own.
func AppendLocal(dst []byte, v Version) []byte {
	switch v {
	case V1:
		return append(dst, "PROXY UNKNOWN\r\n"...)
	case V2:
		return append(append(dst, signature...), 0x20, 0, 0, 0)
	}
	return dst
}

// plain is the address without what the header cannot say.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func append1(dst []byte, source, destination netip.AddrPort) []byte {
	family := "TCP6 "
	if source.Addr().Is4() {
		family = "TCP4 "
	}
	dst = append(append(dst, intro...), family...)
	dst = append(source.Addr().AppendTo(dst), ' ')
	dst = append(destination.Addr().AppendTo(dst), ' ')
	dst = append(strconv.AppendUint(dst, uint64(source.Port()), 10), ' ')
	return append(strconv.AppendUint(dst, uint64(destination.Port()), 10), "\r\n"...)
}

func append2(dst []byte, source, destination netip.AddrPort) []byte {
	const (
		proxied = 0x21
		stream4 = 0x11
		stream6 = 0x21
		ports   = 4
	)
	family, from, to := byte(stream6), source.Addr().AsSlice(), destination.Addr().AsSlice()
	if source.Addr().Is4() {
		family = stream4
	}
	dst = append(append(dst, signature...), proxied, family)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(from)+len(to)+ports))
	dst = append(append(dst, from...), to...)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(dst, source.Port()), destination.Port())
}
