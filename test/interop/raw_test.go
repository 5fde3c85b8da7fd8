package interop

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler/model"
)

const rawMesh = `package mesh

import m "meshc.dev/mesh"

mesh:    m.#Config
service: m.#Services

mesh: {proxy: "envoy", mtls: "disable"}
service: shop: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: allow: [{from: ["*"]}]
}
service: web: {ports: {}, versions: v1: {}, uses: shop: {}}
service: other: {ports: {}, versions: v1: {}, uses: shop: {}}
`

// TestRawPatchesAct: what raw configuration says happens in Envoy, over ADS, in
// the proxies that it is for and in no other.
func TestRawPatchesAct(t *testing.T) {
	mesh := compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte(rawMesh)},
	})
	const resource = "outbound|9080||shop.default.svc.cluster.local"
	mesh.Raw = []model.Raw{
		{Name: "buffer", Kind: model.RawListener, Target: resource, Proxies: []model.Ref{ref("web")}, Patch: `{"filterChains": [{"name": "plaintext", "filters": [{
			"name": "envoy.filters.network.http_connection_manager",
			"typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
				"httpFilters": [{"name": "envoy.filters.http.buffer", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer", "maxRequestBytes": 8}}]}}]}]}`},
		{Name: "mark", Kind: model.RawRoutes, Target: resource, Patch: `{"response_headers_to_add": [{"header": {"key": "x-raw", "value": "yes"}}]}`},
	}
	b := newBed(t, mesh)
	b.application(ref("shop"), "v1", "shop-v1", b.backends.start(t, "shop", nil))
	web, other := b.sidecar(ref("web"), "v1", envoy, ""), b.sidecar(ref("other"), "v1", envoy, "")
	b.run()
	key := model.OutboundKey(ref("shop"), 9080)
	for _, c := range []struct {
		from *model.Workload
		body string
		want int
	}{{web, "short", 200}, {web, strings.Repeat("long", 100), 413}, {other, strings.Repeat("long", 100), 200}} {
		resp, err := http.Post("http://"+c.from.Outbound[key]+"/", "text/plain", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.want || resp.Header.Get("x-raw") != "yes" {
			t.Errorf("%d bytes from %s: %d, x-raw %q; want %d with the header", len(c.body), c.from.ID, resp.StatusCode, resp.Header.Get("x-raw"), c.want)
		}
	}
}
