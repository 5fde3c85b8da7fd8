package engine

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// authority is a CA for one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	a.cert = sign(t, tmpl, tmpl, a.key, a.key)
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t *testing.T, tmpl, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	raw, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// leaf issues an X.509-SVID.
func (a *authority) leaf(id string) tls.Certificate {
	u, err := url.Parse(id)
	if err != nil {
		a.t.Fatal(err)
	}
	key := newKey(a.t)
	c := sign(a.t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs: []*url.URL{u}, DNSNames: []string{"mesh"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

func (a *authority) server(id string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.leaf(id)}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
}

func (a *authority) client(id string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.leaf(id)}, RootCAs: a.pool, ServerName: "mesh", MinVersion: tls.VersionTLS12}
}

const (
	clientID = "spiffe://mesh.test/ns/default/sa/client"
	serverID = "spiffe://mesh.test/ns/default/sa/server"
)

func tlsClient(t *testing.T, conf *tls.Config) *http.Client {
	tr := &http.Transport{TLSClientConfig: conf, MaxIdleConnsPerHost: 32}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

// mutualMesh is a listener with mutual TLS in front of an application that
// itself demands it: both of the engine's TLS sides in one path.
func mutualMesh(t *testing.T, a *authority, version uint16, h http.HandlerFunc) *mesh {
	s := httptest.NewUnstartedServer(h)
	s.TLS = a.server(serverID)
	s.TLS.MaxVersion = version
	s.StartTLS()
	t.Cleanup(s.Close)
	m := newMesh(s.Listener.Addr().String())
	m.chain.TLS = a.server(serverID)
	m.chain.TLS.MaxVersion = version
	m.cluster().TLS = a.client(clientID)
	m.chain.HTTP.ForwardClientCert = snapshot.SanitizeSetXFCC
	return m
}

func TestMutualTLSOnBothSides(t *testing.T) {
	a := newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			m := mutualMesh(t, a, version, func(w http.ResponseWriter, r *http.Request) {
				http.NewResponseController(w).EnableFullDuplex()
				w.Header().Set("X-Xfcc", r.Header.Get("X-Forwarded-Client-Cert"))
				io.Copy(w, r.Body)
			})
			records := withLog(t, m)
			e := start(t, m, func(o *Options) { o.Identity = serverID })
			c := tlsClient(t, a.client(clientID))
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for _, size := range []int64{0, 1, 1000, 100_000, 3 << 20} {
						req, _ := http.NewRequest("POST", "https://"+addrOf(t, e, "in")+"/", io.LimitReader(pattern{}, size))
						req.Header.Set("X-Forwarded-Client-Cert", "URI=spiffe://evil")
						resp, err := c.Do(req)
						if err != nil {
							t.Error(err)
							return
						}
						n, err := io.Copy(&checker{t: t}, resp.Body)
						resp.Body.Close()
						if n != size || err != nil {
							t.Errorf("%d bytes of %d came back: %v", n, size, err)
						}
						if x := resp.Header.Get("X-Xfcc"); !strings.HasPrefix(x, "By="+serverID+";Hash=") || !strings.HasSuffix(x, ";URI="+clientID) {
							t.Errorf("x-forwarded-client-cert %q", x)
						}
					}
				})
			}
			all.Wait()
			for _, r := range records(e) {
				if r["peer"] != clientID {
					t.Fatalf("logged %v", r)
				}
			}
		})
	}
}

func TestClientsThatStrictModeRefuses(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	m := newMesh(silent(t))
	m.chain.TLS = a.server(serverID)
	e := start(t, m)
	stranger := other.client(clientID)
	stranger.RootCAs = a.pool
	anonymous := a.client(clientID)
	anonymous.Certificates = nil
	for name, conf := range map[string]*tls.Config{"of another authority": stranger, "without a certificate": anonymous} {
		if _, err := tlsClient(t, conf).Get("https://" + addrOf(t, e, "in") + "/"); err == nil {
			t.Errorf("client %s was served", name)
		}
	}
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if b, _ := io.ReadAll(c); strings.HasPrefix(string(b), "HTTP/") {
		t.Errorf("plaintext was answered: %q", b)
	}
	eventually(t, "all connections are closed", func() bool { return e.Connections() == 0 })
}

func TestUpstreamOfAnotherAuthorityIsRefused(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	m := mutualMesh(t, a, tls.VersionTLS13, func(http.ResponseWriter, *http.Request) { t.Error("request reached the upstream") })
	m.cluster().TLS = other.client(clientID)
	records := withLog(t, m)
	e := start(t, m)
	status, _ := get(t, tlsClient(t, a.client(clientID)), "https://"+addrOf(t, e, "in")+"/")
	if r := records(e); status != 503 || r[0]["flags"] != "UF" {
		t.Errorf("status %d, logged %v", status, r)
	}
}

func TestPermissiveModeServesBoth(t *testing.T) {
	a := newAuthority(t)
	app := backend(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto")) })
	m := newMesh(app)
	plain := m.chain
	plain.TransportProtocol = "raw_buffer"
	secure := *plain
	secure.Name, secure.TransportProtocol, secure.TLS = "mtls", "tls", a.server(serverID)
	l := m.config.Listeners["in"]
	l.InspectTLS, l.Chains = true, []*snapshot.Chain{&secure, plain}
	e := start(t, m)
	if status, body := get(t, client(t), "http://"+addrOf(t, e, "in")+"/"); status != 200 || body != "http" {
		t.Errorf("plaintext: %d %q", status, body)
	}
	if status, body := get(t, tlsClient(t, a.client(clientID)), "https://"+addrOf(t, e, "in")+"/"); status != 200 || body != "https" {
		t.Errorf("TLS: %d %q", status, body)
	}
	// A ClientHello in pieces of one byte must reach the TLS chain all the same.
	raw := dial(t, addrOf(t, e, "in"))
	c := tls.Client(&dribble{raw}, a.client(clientID))
	send(t, c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, body := readResponse(t, bufio.NewReader(c), "GET"); body != "https" {
		t.Errorf("dribbled TLS: %q", body)
	}
}

// dribble writes one byte at a time.
type dribble struct{ net.Conn }

func (d *dribble) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestStalledHandshakeIsCut(t *testing.T) {
	a := newAuthority(t)
	m := newMesh(silent(t))
	m.chain.TLS = a.server(serverID)
	m.chain.HandshakeTimeout = 50 * time.Millisecond
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	send(t, c, "\x16\x03\x01\x02\x00\x01")
	if _, err := io.ReadAll(c); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("a stalled handshake was kept")
	}
}

// A body that lasts until close is whole only with close_notify: without, anyone
// on the path could cut it.
func TestTruncatedTLSBodyIsNotWhole(t *testing.T) {
	a := newAuthority(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", a.server(serverID))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 2 {
			c, err := l.Accept()
			if err != nil {
				return
			}
			readRequestHead(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhello")
			c.(*tls.Conn).NetConn().Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	m := newMesh(l.Addr().String())
	m.cluster().TLS = a.client(clientID)
	e := start(t, m)
	resp, err := client(t).Get("http://" + addrOf(t, e, "in") + "/")
	if err != nil {
		return
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err == nil {
		t.Errorf("client took %q as whole", b)
	}
}

// A cluster that is the same but for its TLS configuration keeps its pool; new
// connections use the new one.
func TestNewTLSConfigurationOfTheSameCluster(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	m := mutualMesh(t, a, tls.VersionTLS13, func(http.ResponseWriter, *http.Request) {})
	m.chain.TLS = nil
	good := m.cluster().TLS
	m.cluster().TLS = other.client(clientID)
	e := start(t, m)
	url := "http://" + addrOf(t, e, "in") + "/"
	if status, _ := get(t, client(t), url); status != 503 {
		t.Errorf("before: status %d", status)
	}
	next, cl := *m.config, *m.cluster()
	cl.TLS = good
	next.Clusters = map[string]*snapshot.Cluster{clusterName: &cl}
	if err := e.Apply(&next); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, client(t), url); status != 200 {
		t.Errorf("after: status %d", status)
	}
}

// A response that breaks off must not end in close_notify: to a client that
// reads until close it would be whole.
func TestBrokenOffResponseIsNotClosedCleanly(t *testing.T) {
	a := newAuthority(t)
	begun := make(chan struct{})
	m := newMesh(rawBackend(t, func(c net.Conn) {
		readRequestHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
		<-begun
	}))
	m.chain.TLS = a.server(serverID)
	e := start(t, m)
	c := tls.Client(dial(t, addrOf(t, e, "in")), a.client(clientID))
	send(t, c, "GET / HTTP/1.0\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, len("hello"))); err != nil {
		t.Fatal(err)
	}
	close(begun)
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the client took hello and %q as whole", b)
	}
}

// A peer that asks for key updates and reads none of the answers must not fill
// the memory.
func TestKeyUpdatesThatNobodyReadsAreBounded(t *testing.T) {
	s, _ := sockPair(t, 4096)
	l := &tlsLayer{s: s}
	var n int
	for range 1 << 20 {
		if _, err := l.Write(make([]byte, 32)); err != nil {
			break
		}
		n += 32
	}
	if n > 2*maxRecords {
		t.Errorf("%d bytes wait for a peer that reads nothing", n)
	}
}
