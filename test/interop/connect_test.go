package interop

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler/model"
)

const connectMesh = `package mesh

mesh: proxy: "envoy"
service: web: {versions: v1: {}, uses: {tunnel: {}, shop: {}}}
service: tunnel: {ports: proxy: {number: 9080, protocol: "tcp"}, versions: v1: {}}
service: shop: {ports: http: {number: 9080, protocol: "http"}, versions: v1: {}}
`

// CONNECT is carried by a tcp port, to an application that understands it, and
// an http port has no route for it.
func TestConnect(t *testing.T) {
	b := newBed(t, compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(connectMesh)},
	}))
	b.sidecar(ref("tunnel"), "v1", envoy, tunnels(t))
	b.sidecar(ref("shop"), "v1", envoy, b.backends.start(t, "shop", nil))
	web := b.sidecar(ref("web"), "v1", envoy, "")
	b.run()
	ask := "CONNECT " + echo(t, nil) + " HTTP/1.1\r\nhost: elsewhere\r\n\r\n"
	for service, want := range map[string]int{"tunnel": 200, "shop": 404} {
		c := dial(t, web.Outbound[model.OutboundKey(ref(service), meshPort)])
		if _, err := io.WriteString(c, ask); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReaderSize(c, 16), &http.Request{Method: http.MethodConnect})
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", service, resp.StatusCode, want)
		} else if want == 200 {
			echoed(t, c)
		}
	}
}

// tunnels is an application that serves CONNECT.
func tunnels(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer to.Close()
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(to, c)
			_ = to.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(c, to)
	})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return l.Addr().String()
}
