package interop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// Bytes go both ways through sidecars and gateways, each end closes for itself,
// and whoever is not let in gets none.
func TestBytes(t *testing.T) {
	b := newBed(t, compileFS(t, os.DirFS("testdata/bytes")))
	own := b.plane.certificate("spiffe://cluster.local/ns/default/sa/own") // of the application itself
	b.sidecar(ref("db"), "v1", envoy, echo(t, nil))
	b.sidecar(ref("bank"), "v1", envoy, echo(t, &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}))
	b.sidecar(ref("web"), "v1", envoy, "")
	b.gateway(ref("edge"), envoy)
	b.run()
	o := b.placed["web-envoy"].Outbound
	edge := b.placed["edge-envoy"].Inbound
	t.Run("between sidecars", func(t *testing.T) {
		echoed(t, dial(t, o[model.OutboundKey(ref("db"), meshPort)]))
		line := b.proxies["db-envoy"].log.await(t, func(e entry) bool { return e["bytes_received"] == float64(megabyte) })
		if who := line.text("peer_id"); who != b.mesh.Service(ref("web")).SPIFFEID {
			t.Errorf("the server says that %q called", who)
		}
	})
	t.Run("callers", func(t *testing.T) { b.callersOfBytes(t) })
	t.Run("tls port", func(t *testing.T) {
		at := o[model.OutboundKey(ref("bank"), meshPort)]
		c := handshake(t, at, "whatever.example")
		if got := c.ConnectionState().PeerCertificates[0]; !bytes.Equal(got.Raw, own.Certificate[0]) {
			t.Errorf("the client sees %v, not the application itself", got.URIs)
		}
		echoed(t, c)
		closed(t, dial(t, at), "GET / HTTP/1.1\r\n\r\n")
	})
	t.Run("gateway by server name", func(t *testing.T) {
		echoed(t, handshake(t, edge[8443], "a.bank.example"))
		for _, name := range []string{"bank.example", ""} {
			c := tls.Client(dial(t, edge[8443]), &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if err := c.Handshake(); err == nil {
				t.Errorf("a client that asks for %q is let in", name)
			}
		}
	})
	t.Run("gateway", func(t *testing.T) {
		echoed(t, dial(t, edge[5432]))
		id := b.mesh.Gateway(ref("edge")).SPIFFEID
		b.proxies["db-envoy"].log.await(t, func(e entry) bool { return e.text("peer_id") == id && e["bytes_sent"] == float64(megabyte) })
	})
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// callersOfBytes call a server's proxy themselves.
func (b *bed) callersOfBytes(t *testing.T) {
	at := b.placed["db-envoy"].Inbound[meshPort]
	as := func(id string) *tls.Conn {
		c := b.plane.as(id)
		c.NextProtos = nil
		return tls.Client(dial(t, at), c)
	}
	echoed(t, as(b.mesh.Service(ref("web")).SPIFFEID))
	closed(t, as(b.mesh.Service(ref("bank")).SPIFFEID), "hello")
	closed(t, as(""), "hello")
	closed(t, dial(t, at), "hello")
	b.proxies["db-envoy"].log.await(t, func(e entry) bool {
		return e.text("peer_id") == b.mesh.Service(ref("bank")).SPIFFEID && e.text("bytes_sent") == "0"
	})
}

// echo is an application that says what it hears, and ends when its client does.
func echo(t *testing.T, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
				_ = c.(interface{ CloseWrite() error }).CloseWrite()
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return at
}

func dial(t *testing.T, at string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

func handshake(t *testing.T, at, name string) *tls.Conn {
	t.Helper()
	c := tls.Client(dial(t, at), &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

const megabyte = 1 << 20

// echoed sends a megabyte, says that this is all, and wants it back to the end.
func echoed(t *testing.T, c net.Conn) {
	t.Helper()
	want := make([]byte, megabyte)
	for i := range want {
		want[i] = byte(i * 31 >> 3)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(want)
		if err == nil {
			err = c.(interface{ CloseWrite() error }).CloseWrite()
		}
		sent <- err
	}()
	got, err := io.ReadAll(c)
	if err == nil {
		err = <-sent
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back, of %d: %v", len(got), len(want), err)
	}
}

// alert is how a message of TLS begins that says why there is no more.
var alert = []byte{21}

// closed wants no byte in return, but for an alert.
func closed(t *testing.T, c net.Conn, say string) {
	t.Helper()
	_, _ = io.WriteString(c, say)
	got, err := io.ReadAll(c)
	if len(got) > 0 && !bytes.HasPrefix(got, alert) {
		t.Errorf("a connection that is not let in got %q (%v)", got, err)
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		t.Error("a connection that is not let in stays open")
	}
}

// await waits for a line of the log.
func (l *accessLog) await(t *testing.T, is func(entry) bool) entry {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		entries, more := l.entries, l.more
		l.mu.Unlock()
		for _, e := range entries {
			if is(e) {
				return e
			}
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("no such line among %v", entries)
		}
	}
}
