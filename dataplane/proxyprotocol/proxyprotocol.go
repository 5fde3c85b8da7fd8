// Package proxyprotocol reads the header by which a load balancer says whose
// connection it passes on, in both versions of HAProxy's specification. It takes
// what Envoy's proxy_protocol listener filter takes, and refuses what the
// specification says must be; it never panics, whatever the bytes are.
package proxyprotocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
)

// MaxBytes is how long a header may be. The format allows 65,551; what it says of
// a connection beside its addresses takes some hundred.
const MaxBytes = 4 << 10

// Errors of Parse.
var (
	// ErrMore says that the header goes on behind the bytes given.
	ErrMore = errors.New("the header is not complete")
	// ErrMalformed says that the bytes begin no header that is taken.
	ErrMalformed = errors.New("not a header of the PROXY protocol")
)

// Header is what a load balancer says of a connection.
type Header struct {
	// Local: the connection is its own, or it does not know whose. The addresses
	// are not valid then, and those of the connection itself count.
	Local       bool
	Source      netip.AddrPort // of the client
	Destination netip.AddrPort // where the client's connection went
}

// Parse reads the header at the beginning of b and gives its length in bytes. b is
// looked at up to MaxBytes.
func Parse(b []byte) (h Header, length int, err error) {
	switch {
	case hasPrefix(b, signature):
		return parse2(b)
	case hasPrefix(b, intro):
		return parse1(b)
	}
	return h, 0, ErrMalformed
}

const (
	intro     = "PROXY "
	signature = "\r\n\r\n\x00\r\nQUIT\n"
)

// hasPrefix says that b begins with prefix, as far as it goes.
func hasPrefix(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

// maxLine is the longest header of version 1, with its end.
const maxLine = 107

func parse1(b []byte) (h Header, length int, err error) {
	i := bytes.IndexByte(b[:min(len(b), maxLine)], '\n')
	switch {
	case i < 0 && len(b) >= maxLine:
		return h, 0, ErrMalformed
	case i < 0:
		return h, 0, ErrMore
	case b[i-1] != '\r': // the introduction stands before it
		return h, 0, ErrMalformed
	}
	words := strings.Split(string(b[len(intro):i-1]), " ")
	if words[0] == "UNKNOWN" {
		return Header{Local: true}, i + 1, nil
	}
	v6 := words[0] == "TCP6"
	if len(words) != 5 || words[0] != "TCP4" && !v6 {
		return h, 0, ErrMalformed
	}
	var ok1, ok2 bool
	h.Source, ok1 = textAddress(words[1], words[3], v6)
	h.Destination, ok2 = textAddress(words[2], words[4], v6)
	if !ok1 || !ok2 {
		return Header{}, 0, ErrMalformed
	}
	return h, i + 1, nil
}

func textAddress(ip, port string, v6 bool) (netip.AddrPort, bool) {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Is6() != v6 || addr.Zone() != "" {
		return netip.AddrPort{}, false
	}
	n := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' || i == 5 {
			return netip.AddrPort{}, false
		}
		n = n*10 + int(port[i]-'0')
	}
	if port == "" || n > 65535 || port[0] == '0' && n != 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr, uint16(n)), true
}

// Of version 2: version and command, family and transport, length, addresses.
const (
	fixed2    = len(signature) + 4
	local2    = 0x20
	proxy2    = 0x21
	tcp4      = 0x11
	tcp6      = 0x21
	ipv4Bytes = 4
	ipv6Bytes = 16
)

func parse2(b []byte) (h Header, length int, err error) {
	if len(b) < fixed2 {
		if len(b) > len(signature) && b[len(signature)] != local2 && b[len(signature)] != proxy2 {
			return h, 0, ErrMalformed
		}
		return h, 0, ErrMore
	}
	length = fixed2 + int(binary.BigEndian.Uint16(b[fixed2-2:]))
	if length > MaxBytes {
		return h, 0, ErrMalformed
	}
	ipBytes := 0
	switch command, family := b[len(signature)], b[len(signature)+1]; {
	case command == local2:
		h.Local = true
	case command == proxy2 && family == tcp4:
		ipBytes = ipv4Bytes
	case command == proxy2 && family == tcp6:
		ipBytes = ipv6Bytes
	default:
		return h, 0, ErrMalformed
	}
	if length < fixed2+2*ipBytes+4 && !h.Local {
		return Header{}, 0, ErrMalformed
	}
	if len(b) < length {
		return Header{}, 0, ErrMore
	}
	if h.Local {
		return h, length, nil
	}
	at := b[fixed2:]
	ports := at[2*ipBytes:]
	source, _ := netip.AddrFromSlice(at[:ipBytes])
	destination, _ := netip.AddrFromSlice(at[ipBytes : 2*ipBytes])
	h.Source = netip.AddrPortFrom(source, binary.BigEndian.Uint16(ports))
	h.Destination = netip.AddrPortFrom(destination, binary.BigEndian.Uint16(ports[2:]))
	return h, length, nil
}
