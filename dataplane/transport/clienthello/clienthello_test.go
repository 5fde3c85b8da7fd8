package clienthello

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// capture gives the first flight of crypto/tls's client.
func capture(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan []byte)
	go func() {
		b := make([]byte, 64<<10)
		_ = server.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := io.ReadAtLeast(server, b, recordHeader)
		if err == nil {
			for n < recordHeader+int(b[3])<<8+int(b[4]) {
				m, err := server.Read(b[n:])
				if err != nil {
					break
				}
				n += m
			}
		}
		_ = server.Close()
		done <- b[:n]
	}()
	_ = tls.Client(client, config).Handshake() // the peer goes away
	return <-done
}

func hello(t testing.TB, name string) []byte {
	return capture(t, &tls.Config{ServerName: name, InsecureSkipVerify: true})
}

func TestServerName(t *testing.T) {
	for _, name := range []string{"shop.example", "SHOP.example", ""} {
		b := hello(t, name)
		got, err := ServerName(b)
		want := string(bytes.ToLower([]byte(name)))
		if err != nil || got != want {
			t.Errorf("%q: %q, %v", name, got, err)
		}
		for n := range b {
			if got, err := ServerName(b[:n]); !errors.Is(err, ErrMore) {
				t.Fatalf("%q: %d of %d bytes: %q, %v", name, n, len(b), got, err)
			}
		}
	}
}

// TestFragmented: a ClientHello in records of one byte means the same.
func TestFragmented(t *testing.T) {
	b := hello(t, "shop.example")
	var pieces []byte
	for _, c := range b[recordHeader:] {
		pieces = append(pieces, recordHandshake, 3, 1, 0, 1, c)
	}
	if got, err := ServerName(pieces); err != nil || got != "shop.example" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestMalformed(t *testing.T) {
	for name, b := range map[string][]byte{
		"HTTP":            []byte("GET / HTTP/1.1\r\n"),
		"alert":           {21, 3, 1, 0, 2, 2, 40},
		"SSL 2":           {0x80, 0x2e, 1},
		"another message": {22, 3, 1, 0, 4, 2, 0, 0, 0},
		"another, cut":    {22, 3, 1, 1, 0, 2},
		"empty record":    {22, 3, 1, 0, 0},
		"huge record":     {22, 3, 1, 0xff, 0xff},
		"huge message":    {22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff},
		"short message":   {22, 3, 1, 0, 5, 1, 0, 0, 1, 3},
		"another version": {22, 1, 1, 0, 5, 1, 0, 0, 1, 3},
	} {
		if got, err := ServerName(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// FuzzServerName compares with crypto/tls: where that reads a ClientHello, this
// finds the same name.
func FuzzServerName(f *testing.F) {
	f.Add(hello(f, "shop.example"))
	f.Add(hello(f, ""))
	f.Add([]byte{22, 3, 1, 0, 5, 1, 0, 0, 1, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ServerName(b)
		theirs, read := standard(b)
		if read && len(b) <= MaxBytes && versioned(b) && (err != nil || got != string(bytes.ToLower([]byte(theirs)))) {
			t.Errorf("%q, %v; crypto/tls reads %q", got, err, theirs)
		}
	})
}

// versioned says that all records are of SSL 3.0 or of a TLS: crypto/tls does not
// mind while it does not know the version, BoringSSL refuses them as this does.
func versioned(b []byte) bool {
	for len(b) >= recordHeader {
		n := recordHeader + int(binary.BigEndian.Uint16(b[3:]))
		if b[1] != 3 {
			return false
		}
		b = b[min(n, len(b)):]
	}
	return true
}

// standard is what crypto/tls's server reads.
func standard(b []byte) (name string, read bool) {
	server := tls.Server(&canned{r: bytes.NewReader(b)}, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name, read = h.ServerName, true
		return nil, errors.New("enough")
	}})
	_ = server.Handshake()
	return name, read
}

// canned is a connection that says b and hears nothing.
type canned struct {
	net.Conn
	r io.Reader
}

func (c *canned) Read(p []byte) (int, error)  { return c.r.Read(p) }
func (c *canned) Write(p []byte) (int, error) { return len(p), nil }
func (c *canned) Close() error                { return nil }
