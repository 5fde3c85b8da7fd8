package interop

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler/model"
)

// mirrorMesh copies requests to another service, of some callers and of all.
const mirrorMesh = `package mesh

mesh: proxy: "envoy"
service: {
	web: {versions: v1: {}, uses: {shop: {}, cart: {}}}
	batch: {versions: v1: {}, uses: cart: {}}
}
service: shop: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	routes: all: {to: v1: 100, mirror: [{to: "audit", percent: 100}]}
}
service: cart: {
	ports: http: {number: 9080, protocol: "http"}
	versions: {v1: {}, v2: {}}
	routes: {
		web: {from: ["web"], to: v1: 100, mirror: [{to: "default/trial", port: "http", version: "v2", percent: 100}, {version: "v2", percent: 100}]}
		all: to: v1: 100
	}
}
service: audit: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
}
service: trial: {
	ports: http: {number: 9080, protocol: "http"}
	versions: {v1: {}, v2: {}}
	routes: all: to: v1: 100
}
gateway: edge: {
	listeners: web: {port: 8080, protocol: "http"}
	routes: all: to: "shop"
}
`

// mirrorKinds copy requests.
var mirrorKinds = []kind{envoy, meshc}

func mirrorBed(t *testing.T) *bed {
	b := newBed(t, compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(mirrorMesh)},
	}))
	for _, k := range mirrorKinds {
		b.sidecar(ref("web"), "v1", k, "")
		b.sidecar(ref("batch"), "v1", k, "")
		b.gateway(ref("edge"), k)
	}
	for _, s := range []string{"shop", "audit"} {
		b.sidecar(ref(s), "v1", envoy, b.backends.start(t, s, nil))
	}
	b.sidecar(ref("cart"), "v1", envoy, b.backends.start(t, "cart/v1", nil))
	b.application(ref("cart"), "v2", "cart-v2", b.backends.start(t, "cart/v2", b.plane.mutual(b.mesh.Service(ref("cart")).SPIFFEID)))
	b.sidecar(ref("trial"), "v2", envoy, b.backends.start(t, "trial/v2", nil))
	b.run()
	return b
}

func TestMirror(t *testing.T) {
	b := mirrorBed(t)
	for _, k := range mirrorKinds {
		for i, c := range []struct {
			by, service string
			want        []string // who gets the request, and its Host there
		}{
			{"web", "shop", []string{"audit shop-shadow", "shop shop"}},
			{"edge", "shop", []string{"audit shop-shadow", "shop shop"}},
			{"web", "cart", []string{"cart/v1 cart", "cart/v2 cart-shadow", "trial/v2 cart-shadow"}},
			{"batch", "cart", []string{"cart/v1 cart"}},
		} {
			t.Run(fmt.Sprintf("%s/%s/%s", k, c.by, c.service), func(t *testing.T) {
				from := b.placed[c.by+"-"+string(k)]
				at := from.Inbound[8080]
				if c.by != "edge" {
					at = from.Outbound[model.OutboundKey(ref(c.service), meshPort)]
				}
				b.copies(t, at, c.service, fmt.Sprintf("mirror-%s-%d", k, i), c.want)
			})
		}
	}
	for _, p := range b.all() {
		p.refusedNothing()
	}
}

// copies sends requests, and waits until each has arrived wherever it has to.
func (b *bed) copies(t *testing.T, at, host, id string, want []string) {
	t.Helper()
	const body = "the order"
	for n, method := range []string{"GET", "POST"} {
		id := fmt.Sprintf("%s-%d", id, n)
		sent := ""
		if method == "POST" {
			sent = body
		}
		if got := askAs(t, at, host, method, id, sent); got.StatusCode != 200 || strings.Contains(got.Header.Get("x-served"), "v2") {
			t.Errorf("%s: %d of %q", method, got.StatusCode, got.Header.Get("x-served"))
		}
		eventually(t, "the copies arrive", func() bool { return len(b.backends.got(id)) >= len(want) })
		var got []string
		for _, a := range b.backends.got(id) {
			got = append(got, a.Backend+" "+a.Host)
			if a.Method != method || a.Body != sent || a.URI != "/orders?n=1" {
				t.Errorf("%s got %s %s %q", a.Backend, a.Method, a.URI, a.Body)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s arrived at %q, want %q", method, got, want)
		}
	}
}

// askAs sends one request as a case of its own.
func askAs(t *testing.T, at, host, method, id, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+at+"/orders?n=1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set(caseHeader, id)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}
