package interop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler/model"
)

const upgradeMesh = `package mesh

service: web: {versions: v1: {}, uses: chat: {}}
service: chat: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	routes: {
		socket: {match: [{path: prefix: "/ws"}], upgrades: ["websocket"], to: v1: 100}
		rest: to: v1: 100
	}
}
gateway: edge: {
	listeners: web: {port: 8080, protocol: "http"}
	routes: all: to: "chat"
}
`

// WebSocket goes through sidecars and gateways where a route allows it, and
// nowhere else; a server may decline.
func TestUpgrades(t *testing.T) {
	for _, client := range kinds {
		for _, server := range kinds {
			t.Run(string(client)+" to "+string(server), func(t *testing.T) { upgradesBetween(t, client, server) })
		}
	}
}

func upgradesBetween(t *testing.T, client, server kind) {
	b := newBed(t, compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(upgradeMesh)},
	}))
	b.sidecar(ref("chat"), "v1", server, chat(t))
	web := b.sidecar(ref("web"), "v1", client, "")
	edge := b.gateway(ref("edge"), client)
	b.run()
	for from, at := range map[string]string{"web": web.Outbound[model.OutboundKey(ref("chat"), meshPort)], "edge": edge.Inbound[8080]} {
		t.Run("from "+from, func(t *testing.T) {
			for path, want := range map[string]int{"/ws": 101, "/ws/no": 418, "/": 403, "/wz": 403} {
				c := dial(t, at)
				if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nhost: chat\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-key: a\r\n\r\n", path); err != nil {
					t.Fatal(err)
				}
				r := bufio.NewReaderSize(c, 16)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				if h := resp.Header; resp.StatusCode != want || want == 101 && (!strings.EqualFold(h.Get("Upgrade"), "websocket") || !strings.EqualFold(h.Get("Connection"), "upgrade") || h.Get("Sec-Websocket-Accept") != "a") {
					t.Errorf("%s: %d %v, want %d", path, resp.StatusCode, h, want)
				}
				if want == 101 {
					shouts(t, c, r)
				}
			}
			b.proxies[from+"-"+string(client)].log.await(t, func(e entry) bool {
				return e["status"] == float64(101) && e["bytes_received"] == float64(megabyte) && e["bytes_sent"] == float64(megabyte)
			})
		})
	}
	b.proxies["chat-"+string(server)].log.await(t, func(e entry) bool {
		return e["status"] == float64(101) && e["bytes_sent"] == float64(megabyte) && e.text("peer_id") == b.mesh.Service(ref("web")).SPIFFEID
	})
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// shouts sends a megabyte and wants it back; then the server ends.
func shouts(t *testing.T, c net.Conn, r io.Reader) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(c, io.LimitReader(zeros{}, megabyte))
		sent <- err
	}()
	n, err := io.Copy(io.Discard, r)
	if sendErr := <-sent; n != megabyte || err != nil || sendErr != nil {
		t.Errorf("%d bytes came back: %v, %v", n, err, sendErr)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// chat is an application that speaks WebSocket's handshake, and then says a
// megabyte of what it hears.
func chat(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", r.Header.Get("Sec-WebSocket-Key"))
		_, _ = io.Copy(c, io.LimitReader(rw, megabyte))
	})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return l.Addr().String()
}
