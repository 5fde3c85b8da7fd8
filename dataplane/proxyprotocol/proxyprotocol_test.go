package proxyprotocol

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

const (
	v2Begin = signature
	four    = v2Begin + "\x21\x11\x00\x0c" + "\x0a\x01\x02\x03" + "\x7f\x00\x00\x01" + "\x30\x39" + "\x01\xbb"
	six     = v2Begin + "\x21\x21\x00\x24" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\xff\xff" + "\x00\x01"
)

func between(from, to string) Header {
	return Header{Source: netip.MustParseAddrPort(from), Destination: netip.MustParseAddrPort(to)}
}

var local = Header{Local: true}

var good = map[string]Header{
	"PROXY TCP4 10.1.2.3 127.0.0.1 12345 443\r\n":    between("10.1.2.3:12345", "127.0.0.1:443"),
	"PROXY TCP4 10.1.2.3 127.0.0.1 0 65535\r\n":      between("10.1.2.3:0", "127.0.0.1:65535"),
	"PROXY TCP6 2001:db8::1 2001:db8::2 65535 1\r\n": between("[2001:db8::1]:65535", "[2001:db8::2]:1"),
	"PROXY UNKNOWN\r\n":                              local,
	"PROXY UNKNOWN ffff::1 and whatever follows\r\n": local,
	four: between("10.1.2.3:12345", "127.0.0.1:443"),
	six:  between("[2001:db8::1]:65535", "[2001:db8::2]:1"),
	v2Begin + "\x21\x11\x00\x0f" + four[16:] + "\x04\x00\x00": between("10.1.2.3:12345", "127.0.0.1:443"), // with a TLV
	v2Begin + "\x20\x00\x00\x00":                              local,
	v2Begin + "\x20\x11\x00\x0c" + four[16:]:                  local,
}

// Every header is taken whatever follows it, and asked for until it is there.
func TestHeaders(t *testing.T) {
	for text, want := range good {
		for n := range len(text) {
			if _, _, err := Parse([]byte(text[:n])); !errors.Is(err, ErrMore) {
				t.Errorf("%q of %q: %v", text[:n], text, err)
			}
		}
		for _, behind := range []string{"", "\x16\x03\x01", "GET / HTTP/1.1\r\n", text} {
			h, n, err := Parse([]byte(text + behind))
			if h != want || n != len(text) || err != nil {
				t.Errorf("%q: %+v, %d, %v; want %+v, %d", text, h, n, err, want, len(text))
			}
		}
	}
}

func TestNoHeaders(t *testing.T) {
	for _, text := range []string{
		"GET / HTTP/1.1\r\n", "\x16\x03\x01", "proxy TCP4 10.1.2.3 127.0.0.1 1 2\r\n", "PROXY  UNKNOWN\r\n", "PROXY \r\n", "PROXY \n", "PROXY UNKNOWN\n",
		"PROXY TCP4 10.1.2.3 127.0.0.1 1\r\n", "PROXY TCP4 10.1.2.3 127.0.0.1 1 2 3\r\n", "PROXY TCP4 10.1.2.3 127.0.0.1 1 65536\r\n",
		"PROXY TCP4 10.1.2.3 127.0.0.1 01 2\r\n", "PROXY TCP4 10.1.2.3 127.0.0.1 +1 2\r\n", "PROXY TCP4 10.1.2.3 127.0.0.1  2\r\n", "PROXY TCP4 10.1.2.3 127.0.0.1 1 000002\r\n",
		"PROXY TCP4 2001:db8::1 127.0.0.1 1 2\r\n", "PROXY TCP6 10.1.2.3 127.0.0.1 1 2\r\n", "PROXY TCP6 fe80::1%a fe80::1 1 2\r\n", "PROXY UDP4 10.1.2.3 127.0.0.1 1 2\r\n",
		"PROXY UNKNOWN" + strings.Repeat(" ", maxLine),
		v2Begin + "\x11", v2Begin + "\x22\x11\x00\x0c" + four[16:], v2Begin + "\x21\x12\x00\x0c" + four[16:], v2Begin + "\x21\x00\x00\x0c" + four[16:], v2Begin + "\x21\x31\x00\xd8" + strings.Repeat("a", 216),
		v2Begin + "\x21\x11\x00\x0b" + four[16:], v2Begin + "\x21\x21\x00\x0c" + four[16:], v2Begin + "\x20\x00\xff\xff",
	} {
		if h, n, err := Parse([]byte(text)); !errors.Is(err, ErrMalformed) || n != 0 || h != (Header{}) {
			t.Errorf("%q: %+v, %d, %v", text, h, n, err)
		}
	}
}

// What is taken says something, and says it again without what follows; and no
// more than MaxBytes are waited for.
func FuzzParse(f *testing.F) {
	for text := range good {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		switch {
		case errors.Is(err, ErrMore) && len(b) >= MaxBytes:
			t.Errorf("more than %d bytes are asked for", len(b))
		case err != nil && (h != Header{} || n != 0):
			t.Errorf("%+v, %d beside %v", h, n, err)
		case err == nil && (n <= 0 || n > len(b) || n > MaxBytes || h.Local == h.Source.IsValid() || h.Source.IsValid() != h.Destination.IsValid()):
			t.Errorf("%+v, %d of %d", h, n, len(b))
		case err == nil:
			if again, m, err := Parse(b[:n]); again != h || m != n || err != nil {
				t.Errorf("%+v, %d, %v without what follows; %+v, %d with it", again, m, err, h, n)
			}
		}
	})
}
