package reach

import (
	"net/netip"
	"strings"
)

// In holds the addresses of a network, which has no bits outside its prefix.
func In(network netip.Prefix) Text {
	return Text{shape: networkShape, value: addressText(network)}
}

// addressText is the family and the bits of a prefix, "4" or "6" and then "0"
// and "1": the text of a network begins the text of each of its addresses.
func addressText(p netip.Prefix) string {
	var out strings.Builder
	if p.Addr().Is4() {
		out.WriteByte('4')
	} else {
		out.WriteByte('6')
	}
	bytes := p.Addr().AsSlice()
	for i := range p.Bits() {
		out.WriteByte("01"[bytes[i/8]>>(7-i%8)&1])
	}
	return out.String()
}

// networkOf reads what addressText writes.
func networkOf(text string) netip.Prefix {
	bytes := make([]byte, 16)
	if text[0] == '4' {
		bytes = bytes[:4]
	}
	for i, bit := range text[1:] {
		if bit == '1' {
			bytes[i/8] |= 0x80 >> (i % 8)
		}
	}
	ip, _ := netip.AddrFromSlice(bytes) // of 4 or 16 bytes
	return netip.PrefixFrom(ip, len(text)-1)
}
