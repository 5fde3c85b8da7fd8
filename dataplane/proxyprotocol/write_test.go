package proxyprotocol

import (
	"net/netip"
	"testing"
)

// What is written is read as it was meant, in both versions.
func FuzzAppend(f *testing.F) {
	for _, a := range []string{"192.0.2.1:80", "[2001:db8::1]:443", "[::ffff:192.0.2.7]:1", "[fe80::1%eth0]:65535", "0.0.0.0:0"} {
		for _, b := range []string{"198.51.100.9:9080", "[::]:1", "[::ffff:1.2.3.4]:2"} {
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		from, err := netip.ParseAddrPort(a)
		if err != nil {
			return
		}
		to, err := netip.ParseAddrPort(b)
		if err != nil {
			return
		}
		for _, v := range []Version{V1, V2} {
			text := Append([]byte("x"), v, from, to)[1:]
			h, n, err := Parse(text)
			mixed := from.Addr().Unmap().Is4() != to.Addr().Unmap().Is4()
			if err != nil || n != len(text) || h.Local != mixed || !mixed && (h.Source != plain(from) || h.Destination != plain(to)) {
				t.Errorf("version %d, %s to %s: %q is %+v, %d of %d bytes, %v", v, from, to, text, h, n, len(text), err)
			}
		}
	})
}

func TestLocalHeader(t *testing.T) {
	for _, v := range []Version{V1, V2} {
		text := AppendLocal(nil, v)
		if h, n, err := Parse(text); err != nil || !h.Local || n != len(text) {
			t.Errorf("%q: %+v, %d, %v", text, h, n, err)
		}
	}
	if none := Append(nil, None, netip.AddrPort{}, netip.AddrPort{}); none != nil {
		t.Errorf("%q", none)
	}
}
