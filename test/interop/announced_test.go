package interop

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const announcedMesh = `package mesh

service: shop: {ports: http: {number: 9080, protocol: "http"}, versions: v1: {}}
service: db: {ports: sql: {number: 9080, protocol: "tcp"}, versions: v1: {}}
gateway: edge: {
	trustedHops: 1
	listeners: {
		web: {port: 8080, protocol: "http"}
		lb: {port: 8081, protocol: "http", proxyProtocol: true}
		bytes: {port: 5432, protocol: "tls", proxyProtocol: true}
	}
	routes: {all: to: "shop", bytes: {to: "db", listener: "bytes"}}
	security: deny: [{listeners: ["lb"], ips: ["192.0.2.0/24"]}]
}
`

// Both data planes believe the same of who stands in front of a gateway: hops of
// x-forwarded-for, and headers of the PROXY protocol. Rules go by who connects.
func TestInFrontOfGateways(t *testing.T) {
	b := newBed(t, compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(announcedMesh)},
	}))
	b.sidecar(ref("shop"), "v1", envoy, b.backends.start(t, "shop", nil))
	own := b.plane.certificate("spiffe://cluster.local/ns/default/sa/own")
	b.sidecar(ref("db"), "v1", meshc, echo(t, &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}))
	for _, k := range kinds {
		b.gateway(ref("edge"), k)
	}
	b.run()
	seen := map[kind][]string{}
	for _, k := range kinds {
		for i, c := range []struct {
			port          uint16
			begin, fields string
		}{
			{8080, "", "x-forwarded-for: 198.51.100.9, 198.51.100.1\r\nx-forwarded-proto: https\r\n"},
			{8080, "", ""},
			{8080, "", "x-forwarded-for: nonsense\r\nx-forwarded-proto: gopher\r\n"},
			{8080, "", "x-forwarded-for: 198.51.100.9,2001:db8::1\r\nx-forwarded-for: 198.51.100.2\r\n"},
			{8081, "PROXY TCP4 192.0.2.7 203.0.113.1 4711 443\r\n", ""},
			{8081, "PROXY TCP6 2001:db8::7 2001:db8::8 4711 443\r\n", "x-forwarded-for: 198.51.100.1\r\n"},
			{8081, "PROXY UNKNOWN\r\n", ""},
			{8081, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xcb\x00\x71\x01\x12\x67\x01\xbb", ""},
			{8081, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", ""},
			{8081, "", ""},
			{8081, "PROXY TCP4 192.0.2.7 203.0.113.1 4711 65536\r\n", ""},
		} {
			id := fmt.Sprintf("front-%s-%d", k, i)
			conn := dialFrom(t, "127.0.0.9", b.placed["edge-"+string(k)].Inbound[c.port])
			_, _ = fmt.Fprintf(conn, "%sGET /%s HTTP/1.1\r\nhost: shop\r\nx-case: %s\r\nconnection: close\r\n%s\r\n", c.begin, id, id, c.fields)
			status := "closed"
			if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				status = resp.Status
				_, _ = io.Copy(io.Discard, resp.Body)
			}
			what := status
			if status[0] == '2' {
				line := b.proxies["edge-"+string(k)].log.await(t, func(e entry) bool { return e.text("path") == "/"+id })
				what += " client " + host(line.text("downstream"), conn.LocalAddr().String())
			}
			for _, got := range b.backends.got(id) {
				what += fmt.Sprint(" for ", got.Header["x-forwarded-for"], " proto ", got.Header["x-forwarded-proto"])
			}
			seen[k] = append(seen[k], what)
		}
	}
	for i := range seen[envoy] {
		if first := seen[kinds[0]][i]; first != seen[kinds[1]][i] {
			t.Errorf("case %d: %s has %q, %s has %q", i, kinds[0], first, kinds[1], seen[kinds[1]][i])
		}
	}
	t.Logf("%q", seen[envoy])
	for _, k := range kinds {
		conn := dial(t, b.placed["edge-"+string(k)].Inbound[5432])
		_, _ = io.WriteString(conn, "PROXY TCP4 192.0.2.7 203.0.113.1 4711 443\r\n")
		c := tls.Client(conn, &tls.Config{ServerName: "db.example", InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
		if err := c.Handshake(); err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		echoed(t, c)
		b.proxies["edge-"+string(k)].log.await(t, func(e entry) bool { return e.text("downstream") == "192.0.2.7:4711" && e["bytes_sent"] != 0.0 })
	}
}

// dialFrom connects from an address of its own: of 127.0.0.1 Envoy says in
// x-forwarded-for that it is Envoy's.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}).Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// host is the address without its port, where that is the connection's own.
func host(addr, own string) string {
	if addr == own {
		return "itself"
	}
	return strings.TrimSuffix(addr, ":0")
}
