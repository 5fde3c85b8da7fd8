package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// Bytes go both ways through sidecars and gateways, each end closes for itself,
// and whoever is not let in gets none.
func TestBytes(t *testing.T) {
	for _, client := range kinds {
		for _, server := range kinds {
			t.Run(string(client)+" to "+string(server), func(t *testing.T) { bytesBetween(t, client, server) })
		}
	}
}

func bytesBetween(t *testing.T, client, server kind) {
	b := newBed(t, compileFS(t, os.DirFS("testdata/bytes")))
	own := b.plane.certificate("spiffe://cluster.local/ns/default/sa/own") // of the application itself
	b.sidecar(ref("db"), "v1", server, echo(t, nil))
	b.sidecar(ref("greeter"), "v1", server, greeter(t))
	b.sidecar(ref("bank"), "v1", server, echo(t, &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}))
	b.sidecar(ref("web"), "v1", client, "")
	b.gateway(ref("edge"), client)
	b.outside(t, server)
	b.run()
	o := b.placed["web-"+string(client)].Outbound
	edge := b.placed["edge-"+string(client)].Inbound
	t.Run("between sidecars", func(t *testing.T) {
		echoed(t, dial(t, o[model.OutboundKey(ref("db"), meshPort)]))
		line := b.proxies["db-"+string(server)].log.await(t, func(e entry) bool { return e["bytes_received"] == float64(megabyte) })
		if who := line.text("peer_id"); who != b.mesh.Service(ref("web")).SPIFFEID {
			t.Errorf("the server says that %q called", who)
		}
	})
	t.Run("server speaks first", func(t *testing.T) {
		at := b.placed["greeter-"+string(server)].Inbound[meshPort]
		c := b.plane.as(b.mesh.Service(ref("web")).SPIFFEID)
		c.NextProtos = nil
		if got, _ := io.ReadAll(tls.Client(dial(t, at), c)); string(got) != greeting {
			t.Errorf("a caller that is let in is greeted with %q", got)
		}
		c = b.plane.as(b.mesh.Service(ref("bank")).SPIFFEID)
		c.NextProtos = nil
		if got, _ := io.ReadAll(tls.Client(dial(t, at), c)); len(got) > 0 {
			t.Errorf("a caller that is not let in is greeted with %q", got)
		}
	})
	t.Run("callers", func(t *testing.T) { b.callersOfBytes(t, server) })
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
		b.proxies["db-"+string(server)].log.await(t, func(e entry) bool { return e.text("peer_id") == id && e["bytes_sent"] == float64(megabyte) })
	})
	t.Run("egress", func(t *testing.T) { b.leaving(t, client, server) })
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// outside puts the externals here, and an egress gateway in front of them. One
// greets whoever connects.
func (b *bed) outside(t *testing.T, k kind) {
	certificate, roots := webCertificate(t, "partner.example")
	b.plane.secret("partner.pem", roots)
	partner := b.mesh.External(ref("partner"))
	partner.Endpoints = []string{b.backends.start(t, "partner", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})}
	b.mesh.External(ref("ledger")).Endpoints = []string{echo(t, nil)}
	b.gateway(ref("out"), k)
}

// leaving goes out by the egress gateway, which lets in those that declare it.
func (b *bed) leaving(t *testing.T, client, server kind) {
	o, gate := b.placed["web-"+string(client)].Outbound, b.placed["out-"+string(server)].Inbound[model.EgressPort]
	web, log := b.mesh.Service(ref("web")).SPIFFEID, b.proxies["out-"+string(server)].log
	res := send(o[model.OutboundKey(ref("partner"), 443)], nil, &request{method: "GET", target: "/out", host: "partner.example"}, "egress-1")
	if res.Status != 200 {
		t.Fatalf("the request through the egress gateway has %d (%s)", res.Status, res.Err)
	}
	if got := b.backends.got("egress-1"); len(got) != 1 || got[0].SNI != "partner.example" || got[0].Header["x-forwarded-client-cert"] != nil {
		t.Errorf("the external saw %+v", got)
	}
	log.await(t, func(e entry) bool { return e.text("path") == "/out" && e.text("peer_id") == web })
	echoed(t, dial(t, o[model.OutboundKey(ref("ledger"), 5432)]))
	log.await(t, func(e entry) bool { return e["bytes_sent"] == float64(megabyte) && e.text("peer_id") == web })
	knock := func(id, name string) *tls.Conn {
		c := b.plane.as(id)
		c.NextProtos, c.ServerName = nil, name
		return tls.Client(dial(t, gate), c)
	}
	sni := b.mesh.External(ref("ledger")).EgressSNI(5432)
	echoed(t, knock(web, sni))
	closed(t, knock(b.mesh.Service(ref("db")).SPIFFEID, sni), "hello")
	closed(t, knock("", sni), "hello")
	closed(t, knock(web, "ledger.example"), "hello")
}

// webCertificate is for a server outside of the mesh, or for its client, and who
// signed it as PEM.
func webCertificate(t *testing.T, name string) (certificate tls.Certificate, roots []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{ // authorities are told apart by their names
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: rand.Text()}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}

// callersOfBytes call a server's proxy themselves.
func (b *bed) callersOfBytes(t *testing.T, k kind) {
	at := b.placed["db-"+string(k)].Inbound[meshPort]
	as := func(id string) *tls.Conn {
		c := b.plane.as(id)
		c.NextProtos = nil
		return tls.Client(dial(t, at), c)
	}
	echoed(t, as(b.mesh.Service(ref("web")).SPIFFEID))
	closed(t, as(b.mesh.Service(ref("bank")).SPIFFEID), "hello")
	closed(t, as(""), "hello")
	closed(t, dial(t, at), "hello")
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

const greeting = "welcome"

// greeter is an application that speaks first, and that is all.
func greeter(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, greeting)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
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
