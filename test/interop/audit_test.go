package interop

import (
	"crypto/tls"
	"io"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler/model"
)

// auditMesh audits requests and connections, of services and of a gateway.
const auditMesh = `package mesh

mesh: proxy: "envoy"
service: web: {versions: v1: {}, uses: {shop: {}, guarded: {}, ours: {}, db: {}}}
service: bank: {versions: v1: {}, uses: db: {}}
service: guard: {
	ports: rpc: {number: 9080, protocol: "grpc"}
	versions: v1: {}
}
service: shop: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: {
		audit: [{methods: ["DELETE"]}, {from: ["web"], paths: [{prefix: "/private"}], notPaths: [{exact: "/private/open"}]}]
		deny: [{paths: [{exact: "/private/denied"}]}]
	}
}
service: ours: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: {
		audit: [{methods: ["DELETE"]}, {from: ["web"], paths: [{prefix: "/private"}], notPaths: [{exact: "/private/open"}]}]
		deny: [{paths: [{exact: "/private/denied"}]}]
	}
}
service: guarded: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	uses: guard: {}
	security: {
		authorizer: service: "guard"
		audit: [{paths: [{prefix: "/private"}]}]
	}
}
service: db: {
	ports: sql: {number: 9080, protocol: "tcp"}
	versions: v1: {}
	security: audit: [{from: ["web"]}]
}
gateway: edge: {
	listeners: {web: {port: 8080, protocol: "http"}, sql: {port: 5432, protocol: "tcp"}}
	security: audit: [{listeners: ["web"], headers: "x-odd": present: true}, {listeners: ["sql"], ips: ["127.0.0.0/8"]}]
	routes: {all: to: "shop", sql: {to: "db", listener: "sql"}}
}
`

// What audit rules hold for is logged as audited, and becomes what it becomes
// without them.
func TestAudit(t *testing.T) {
	b := newBed(t, compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(auditMesh)},
	}))
	g := &guard{}
	b.sidecar(ref("guard"), "v1", envoy, serveGuard(t, g))
	b.sidecar(ref("shop"), "v1", envoy, b.backends.start(t, "shop", nil))
	b.sidecar(ref("guarded"), "v1", envoy, b.backends.start(t, "guarded", nil))
	b.sidecar(ref("ours"), "v1", meshc, b.backends.start(t, "ours", nil))
	b.sidecar(ref("db"), "v1", envoy, echo(t, nil))
	web := b.sidecar(ref("web"), "v1", envoy, "")
	edge := b.gateway(ref("edge"), envoy)
	b.run()
	out := func(s string) string { return web.Outbound[model.OutboundKey(ref(s), meshPort)] }
	for _, c := range []struct {
		name, at, log, method, target string
		headers                       []string
		status                        int
		audited                       string
	}{
		{"nothing", out("shop"), "shop-envoy", "GET", "/", nil, 200, ""},
		{"by method", out("shop"), "shop-envoy", "DELETE", "/", nil, 200, "audit-0000"},
		{"by path and caller", out("shop"), "shop-envoy", "GET", "/private/x", nil, 200, "audit-0001"},
		{"by both, the first counts", out("shop"), "shop-envoy", "DELETE", "/private/x", nil, 200, "audit-0000"},
		{"an exception", out("shop"), "shop-envoy", "GET", "/private/open", nil, 200, ""},
		{"of another caller", edge.Inbound[8080], "shop-envoy", "GET", "/private/x", nil, 200, ""},
		{"what deny refuses", out("shop"), "shop-envoy", "GET", "/private/denied", nil, 403, "audit-0001"},
		{"meshc-proxy: nothing", out("ours"), "ours-meshc", "GET", "/private/open", nil, 200, ""},
		{"meshc-proxy: by method", out("ours"), "ours-meshc", "DELETE", "/private/x", nil, 200, "audit-0000"},
		{"meshc-proxy: by path and caller", out("ours"), "ours-meshc", "GET", "/private/x", nil, 200, "audit-0001"},
		{"meshc-proxy: what deny refuses", out("ours"), "ours-meshc", "GET", "/private/denied", nil, 403, "audit-0001"},
		{"what the authorizer lets in", out("guarded"), "guarded-envoy", "GET", "/private", []string{"x-say: yes"}, 200, "audit-0000"},
		{"what the authorizer refuses", out("guarded"), "guarded-envoy", "GET", "/private", []string{"x-say: no"}, 403, "audit-0000"},
		{"not, at the gateway", edge.Inbound[8080], "edge-envoy", "GET", "/", nil, 200, ""},
		{"at the gateway", edge.Inbound[8080], "edge-envoy", "GET", "/", []string{"x-odd: 1"}, 200, "audit-0000"},
		{"not by the client's proxy", out("shop"), "web-envoy", "DELETE", "/", nil, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := b.ask(c.at, c.method, c.target, c.headers...)
			if got.status != c.status {
				t.Errorf("%d, want %d", got.status, c.status)
			}
			id := b.lastAsk()
			line := b.proxies[c.log].log.await(t, func(e entry) bool { return e.text(caseField) == id })
			if said := line.text("audit"); said != c.audited {
				t.Errorf("audited as %q, want %q, in %v", said, c.audited, line)
			}
		})
	}
	t.Run("connections", func(t *testing.T) { b.auditedBytes(t) })
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// auditedBytes are connections to a tcp port, straight and through a gateway.
func (b *bed) auditedBytes(t *testing.T) {
	db, web, edge := b.proxies["db-envoy"].log, b.mesh.Service(ref("web")).SPIFFEID, b.mesh.Gateway(ref("edge")).SPIFFEID
	echoed(t, dial(t, b.placed["web-envoy"].Outbound[model.OutboundKey(ref("db"), meshPort)]))
	line := db.await(t, func(e entry) bool { return e.text("peer_id") == web && e["bytes_received"] == float64(megabyte) })
	if said := line.text("audit"); said != "audit-0000" {
		t.Errorf("a connection of web is audited as %q", said)
	}
	echoed(t, dial(t, b.placed["edge-envoy"].Inbound[5432]))
	line = db.await(t, func(e entry) bool { return e.text("peer_id") == edge && e["bytes_received"] == float64(megabyte) })
	if said := line.text("audit"); said != "" {
		t.Errorf("a connection of the gateway is audited as %q", said)
	}
	b.proxies["edge-envoy"].log.await(t, func(e entry) bool {
		return e["bytes_received"] == float64(megabyte) && e.text("audit") == "audit-0001"
	})
	c := b.plane.as(b.mesh.Service(ref("bank")).SPIFFEID)
	c.NextProtos = nil
	other := tls.Client(dial(t, b.placed["db-envoy"].Inbound[meshPort]), c)
	_, _ = io.WriteString(other, "x")
	_ = other.CloseWrite()
	if got, err := io.ReadAll(other); string(got) != "x" {
		t.Errorf("bank hears %q: %v", got, err)
	}
}
