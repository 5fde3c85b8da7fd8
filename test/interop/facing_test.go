package interop

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// facingMesh has a gateway that believes one address of this machine, and takes
// clients of one key, by one cipher of TLS 1.2.
const facingMesh = `package mesh

service: shop: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	routes: {
		safe: {match: [{scheme: "https"}], to: v1: 100, responseHeaders: set: "x-scheme": "https"}
		rest: {to: v1: 100, responseHeaders: set: "x-scheme": "http"}
	}
}
gateway: edge: {
	trustedCIDRs: ["127.0.0.2", "203.0.113.0/24"]
	serverHeader: "the shop"
	listeners: {
		plain: {port: 8080, protocol: "http", bind: "0.0.0.0"}
		pinned: {port: 8443, protocol: "https", tls: {
			mode: "mutual", ca: file: "clients.pem", certificates: [{secret: "client"}]
			pins: [%q], ciphers: ["ECDHE-ECDSA-AES256-GCM-SHA384"]
		}}
		announced: {port: 8081, protocol: "http", proxyProtocol: true}
	}
	routes: all: to: "shop"
}
`

// Gateways believe those that they are told to, and no one else.
func TestFacing(t *testing.T) {
	known, knownRoots := webCertificate(t, "known.test")
	other, otherRoots := webCertificate(t, "other.test")
	b := newBed(t, compileText(t, fmt.Sprintf(facingMesh, pinOf(t, knownRoots))))
	b.plane.secret("clients.pem", append(knownRoots, otherRoots...))
	b.plane.clientPair(t, "edge.test")
	b.sidecar(ref("shop"), "v1", envoy, b.backends.start(t, "shop", nil))
	edges := []*model.Workload{b.gateway(ref("edge"), envoy), b.gateway(ref("edge"), meshc)}
	for _, w := range edges {
		w.Inbound[8080] = ownPort(t, w.Inbound[8080])
	}
	b.run()
	for i, w := range edges {
		t.Run("believed "+w.ID, func(t *testing.T) { b.believedFrom(t, w) })
		t.Run("announced "+w.ID, func(t *testing.T) { b.believedAnnounced(t, w) })
		t.Run("sent on "+w.ID, func(t *testing.T) { b.sentOnBelieved(t, w, kinds[i]) })
		t.Run("bind "+w.ID, func(t *testing.T) {
			_, port, _ := net.SplitHostPort(w.Inbound[8080])
			res := facingAsk(t, "127.0.0.1", "127.0.0.9:"+port, "bind-"+w.ID, nil)
			if res.StatusCode != http.StatusOK || res.Header.Get("server") != "the shop" {
				t.Errorf("%d, server %q", res.StatusCode, res.Header.Get("server"))
			}
		})
		t.Run("pins "+w.ID, func(t *testing.T) {
			for name, c := range map[string]struct {
				shown []tls.Certificate
				fine  bool
			}{"the key": {[]tls.Certificate{known}, true}, "another key": {[]tls.Certificate{other}, false}, "no certificate": {nil, false}} {
				if err := knockTLS(t, w.Inbound[8443], &tls.Config{Certificates: c.shown}); (err == nil) != c.fine {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
		t.Run("cipher "+w.ID, func(t *testing.T) {
			for suite, fine := range map[uint16]bool{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: true, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: false} {
				err := knockTLS(t, w.Inbound[8443], &tls.Config{Certificates: []tls.Certificate{known}, CipherSuites: []uint16{suite}, MaxVersion: tls.VersionTLS12})
				if (err == nil) != fine {
					t.Errorf("%s: %v", tls.CipherSuiteName(suite), err)
				}
			}
		})
	}
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// ownPort gives a place the number of a port that is free on every address.
func ownPort(t *testing.T, place string) string {
	t.Helper()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	host, _, _ := net.SplitHostPort(place)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort(host, port)
}

// believedFrom asks from addresses that are believed, and that are not.
func (b *bed) believedFrom(t *testing.T, edge *model.Workload) {
	for i, c := range []struct{ from, forwarded, client, scheme string }{
		{"127.0.0.2", "198.51.100.7", "198.51.100.7", "https"},
		{"127.0.0.2", "192.0.2.1, 198.51.100.7, 203.0.113.9", "198.51.100.7", "https"},
		{"127.0.0.2", "", "127.0.0.2", "https"},
		{"127.0.0.1", "198.51.100.7", "127.0.0.1", "http"},
		{"127.0.0.1", "198.51.100.7, 203.0.113.9", "127.0.0.1", "http"},
	} {
		id := fmt.Sprintf("facing-%s-%d", edge.ID, i)
		headers := map[string]string{"x-forwarded-proto": "https"}
		if c.forwarded != "" {
			headers["x-forwarded-for"] = c.forwarded
		}
		res := facingAsk(t, c.from, edge.Inbound[8080], id, headers)
		if res.Header.Get("x-scheme") != c.scheme {
			t.Errorf("from %s: scheme %q, want %q", c.from, res.Header.Get("x-scheme"), c.scheme)
		}
		line := b.proxies[edge.ID].log.await(t, func(e entry) bool { return e.text(caseField) == id })
		if host, _, _ := net.SplitHostPort(line.text("downstream")); host != c.client {
			t.Errorf("from %s, forwarded for %q: the client is %q, want %q", c.from, c.forwarded, line.text("downstream"), c.client)
		}
	}
}

// believedAnnounced has a load balancer announce proxies, which are believed or not,
// and looks at what the application is told of who the request has come by.
func (b *bed) believedAnnounced(t *testing.T, edge *model.Workload) {
	for i, c := range []struct{ from, forwarded, scheme, told string }{
		{"203.0.113.9", "198.51.100.7", "https", "198.51.100.7,203.0.113.9"},
		{"203.0.113.9", "", "https", "203.0.113.9"},
		{"192.0.2.9", "198.51.100.7", "http", "198.51.100.7,192.0.2.9"},
	} {
		id := fmt.Sprintf("announced-%s-%d", edge.ID, i)
		fields := "x-forwarded-proto: https\r\nx-request-id: 42\r\n"
		if c.forwarded != "" {
			fields += "x-forwarded-for: " + c.forwarded + "\r\n"
		}
		conn := dial(t, edge.Inbound[8081])
		_, _ = fmt.Fprintf(conn, "PROXY TCP4 %s 203.0.113.1 4711 80\r\nGET / HTTP/1.1\r\nhost: shop\r\n%s: %s\r\n%s\r\n", c.from, caseHeader, id, fields)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		got := b.backends.got(id)
		if len(got) != 1 || res.Header.Get("x-scheme") != c.scheme {
			t.Fatalf("from %s: %s, scheme %q, want %q; %d requests arrived", c.from, res.Status, res.Header.Get("x-scheme"), c.scheme, len(got))
		}
		if told := strings.Join(got[0].Header["x-forwarded-for"], "|"); told != c.told {
			t.Errorf("from %s, forwarded for %q: the application is told %q, want %q", c.from, c.forwarded, told, c.told)
		}
		if ids := got[0].Header["x-request-id"]; slices.Equal(ids, []string{"42"}) != (c.scheme == "https") {
			t.Errorf("from %s: x-request-id is %q", c.from, ids)
		}
	}
}

// facingAsk sends one request from an address of this machine.
func facingAsk(t *testing.T, from, to, id string, headers map[string]string) *http.Response {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}).Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://shop.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(caseHeader, id)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	if err := req.Write(c); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res
}

// knockTLS gives why a handshake, or the request after it, fails: TLS 1.3 tells
// a client that it is refused when it first reads.
func knockTLS(t *testing.T, to string, config *tls.Config) error {
	t.Helper()
	config.InsecureSkipVerify, config.NextProtos = true, []string{"http/1.1"}
	c := tls.Client(dial(t, to), config)
	if err := c.Handshake(); err != nil {
		return err
	}
	if _, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n"); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

// pinOf gives the pin of a certificate's key.
func pinOf(t *testing.T, certificate []byte) string {
	t.Helper()
	block, _ := pem.Decode(certificate)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sentOnBelieved has a proxy that is believed hand on what its client has written for a
// word of the mesh. Envoy lets some of it pass, which docs/envoy-differences.md has as
// "edge"; meshc-proxy nothing but the request's ID.
func (b *bed) sentOnBelieved(t *testing.T, edge *model.Workload, k kind) {
	id := "sent-" + edge.ID
	headers := map[string]string{"x-request-id": "42", "x_request_id": "1", "x_forwarded_for": "1", "x_forwarded_proto": "1"}
	for _, name := range []string{"internal", "external-address", "original-path", "attempt-count", "decorator-operation", "peer-metadata", "retry-on", "max-retries", "upstream-rq-timeout-ms"} {
		headers["x-envoy-"+name] = "1"
		headers["x_envoy_"+strings.ReplaceAll(name, "-", "_")] = "1"
	}
	facingAsk(t, "127.0.0.2", edge.Inbound[8080], id, headers)
	got := b.backends.got(id)
	if len(got) != 1 {
		t.Fatalf("%d requests arrived", len(got))
	}
	if ids := got[0].Header["x-request-id"]; !slices.Equal(ids, []string{"42"}) {
		t.Errorf("x-request-id is %q", ids)
	}
	orders := []string{"x-envoy-internal", "x-envoy-retry-on", "x-envoy-max-retries", "x-envoy-upstream-rq-timeout-ms"} // which Envoy takes out too
	for name := range headers {
		if _, passed := got[0].Header[name]; passed && name != "x-request-id" && (k == meshc || slices.Contains(orders, name)) {
			t.Errorf("%s has passed", name)
		}
	}
}
