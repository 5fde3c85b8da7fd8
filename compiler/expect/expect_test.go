package expect_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/expect"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(m.Run())
}

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const root = `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals
`

// compile gives what is expected of a mesh, and the mesh.
func compile(t testing.TB, text string) *compiler.Result {
	t.Helper()
	fsys := fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte(root)},
		"a.cue":              {Data: []byte("package mesh\n" + text)},
	}
	res, err := compiler.Compile(t.Context(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil || res.Model == nil {
		t.Fatalf("%v %v", err, res.Diags)
	}
	return res
}

const shop = `
service: web: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}, uses: {api: {}, bytes: {}}}
service: jobs: {versions: v1: {}, uses: api: {}}
service: idle: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}}
service: bytes: {ports: db: {number: 5432, protocol: "tcp"}, versions: v1: {}, expect: "by web": reachedBy: only: ["web"]}
service: plain: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}, security: {mtls: "permissive", allow: [{from: ["*"]}]}, expect: "in the clear": reachedBy: only: ["web", "jobs", "idle", "edge", "api", "plain", "bytes"]}
service: api: {
	ports: {http: {number: 80, protocol: "http"}, admin: {number: 81, protocol: "http"}}
	versions: {v1: {}, v2: {}}
	routes: {
		admin: {port: "admin", to: v1: 100}
		beta: {match: [{headers: beta: present: true}], from: ["web"], to: v2: 100}
		moved: {match: [{path: segmentPrefix: "/old"}], redirect: {path: "/", status: 302}}
		tea: {match: [{path: exact: "/tea"}], respond: status: 418}
		cut: {match: [{path: segmentPrefix: "/cut"}], rewrite: prefix: "/", to: v1: 100}
		odd: {match: [{path: segmentPrefix: "/odd"}], rewrite: regex: {pattern: "odd(.*)", substitution: "y\\1"}, to: v1: 100}
		rest: {to: {v1: 99.5, v2: 0.5}, timeout: "2s"}
	}
	security: {
		allow: [{from: ["web"]}, {from: ["jobs"], paths: [{prefix: "/jobs/"}, {segmentPrefix: "/x"}], ports: ["http"]}]
		deny: [{methods: ["DELETE"]}]
	}
	expect: EXPECT
}
gateway: edge: {
	listeners: {web: {port: 8080, protocol: "http", hosts: ["*.shop.example"]}, raw: {port: 9000, protocol: "tcp"}}
	routes: {all: {listener: "web", to: "web"}, db: {listener: "raw", to: "bytes"}}
	security: deny: [{listeners: ["web"], paths: [{prefix: "/admin"}]}]
	expect: EDGE
}
mesh: proxy: "envoy"
`

// TestVerdicts holds one mesh against expectations of every kind: what holds,
// what does not, with a part of what is said of it, what is about nothing, and
// what cannot be told.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct{ owner, text, want string }{
		{"api", `{request: {from: "web"}, port: "http", to: {v1: 99.5, v2: 0.5}, timeout: "2s", retries: 2, faults: false}`, "holds"},
		{"api", `{request: {from: "web", headers: beta: "1"}, port: "http", to: v2: 100}`, "holds"},
		{"api", `{request: {from: "jobs", path: "/x", headers: beta: "1"}, port: "http", notTo: ["v2"]}`, "fails notTo: want nothing to v2, got v1 99.5 %, v2 0.5 %"},
		{"api", `{request: {from: "web", path: "/old/a"}, port: "http", status: 302, location: "http://api.default.svc.cluster.local/"}`, "holds"},
		{"api", `{request: {from: "web", path: "/tea"}, port: "http", outcome: "answered", status: 418}`, "holds"},
		{"api", `{request: {from: "jobs", method: "DELETE", path: "/jobs/1"}, port: "http", outcome: "denied"}`, "holds"},
		{"api", `{request: {from: "jobs", path: "/"}, port: "http", outcome: "allowed"}`, "fails outcome: want allowed, got denied"},
		{"api", `{request: {from: "idle"}, port: "http", outcome: "not-declared"}`, "holds"},

		{"api", `{every: [{headers: beta: present: true, path: {prefix: "/b"}, notMethod: "DELETE"}], from: ["web"], port: "http", to: v2: 100}`, "holds"},
		{"api", `{every: [{headers: beta: present: true, path: {prefix: "/b"}, notMethod: "DELETE"}], port: "http", to: v2: 100}`, "fails to: want v2 100 %, got none: denied"},
		{"api", `{every: [{method: "DELETE"}], notTo: ["v1", "v2"]}`, "holds"},
		{"api", `{every: [{path: prefix: "/old"}], from: ["web"], port: "http", status: 302}`, "fails status: want 302, got"},
		{"api", `{every: [{path: segmentPrefix: "/old", headers: beta: present: false}], port: "http", status: 302}`, "holds"},
		{"api", `{every: [{path: segmentPrefix: "/old", headers: beta: present: false}], from: ["web"], status: 302}`, "fails status: want 302, got"}, // of admin
		{"api", `{every: [{}], from: ["idle"], outcome: "not-declared"}`, "holds"},
		{"api", `{every: [{}], from: ["web", "idle"], notTo: ["v1"]}`, "fails notTo"},
		{"api", `{every: [{path: exact: "/a/../b"}], status: 404}`, "vacuous"},
		{"api", `{every: [{}], from: ["jobs"], port: "admin", outcome: "denied"}`, "holds"},
		// What the server lets in depends on the path that it is rewritten to.
		{"api", `{every: [{path: segmentPrefix: "/cut", notMethod: "DELETE", headers: beta: present: false}], from: ["web"], port: "http", to: v1: 100}`, "holds"},
		{"api", `{every: [{path: segmentPrefix: "/cut"}], from: ["jobs"], port: "http", outcome: "allowed"}`, "fails outcome: want allowed, got denied"},
		{"api", `{every: [{path: segmentPrefix: "/cut", notMethod: "DELETE"}], from: ["jobs"], port: "http", outcome: "denied"}`, "fails outcome: want denied, got allowed"},
		{"api", `{every: [{path: segmentPrefix: "/odd", notMethod: "DELETE"}], from: ["jobs"], port: "http", outcome: "denied"}`, "unknown"},
		{"api", `{every: [{path: segmentPrefix: "/odd", notMethod: "DELETE"}], from: ["jobs"], port: "http", notTo: ["v2"]}`, "holds"},
		{"api", `{every: [{path: segmentPrefix: "/cut"}], from: ["jobs"], port: "http", notTo: ["v2"]}`, "holds"},

		{"api", `{reachedBy: only: ["web", "jobs"]}`, "holds"},
		{"api", `{reachedBy: only: ["web"], port: "admin"}`, "holds"},
		{"api", `{reachedBy: only: ["web"]}`, "fails reachedBy: default/api lets default/jobs in"},
		{"api", `{reachedBy: only: ["web", "idle"], port: "admin"}`, "holds"},
		{"api", `{reachedBy: only: []}`, "fails"},
		{"edge", `{request: {host: "www.shop.example"}, service: "web", to: v1: 100}`, "holds"},
		{"edge", `{request: {host: "www.shop.example", path: "/admin/x"}, outcome: "denied"}`, "holds"},
		{"edge", `{request: {host: "elsewhere.example"}, outcome: "no-route", status: 404}`, "holds"},
		{"edge", `{every: [{path: prefix: "/admin"}], notServices: ["web"]}`, "holds"},
		{"edge", `{every: [{path: prefix: "/"}], service: "web"}`, "fails service: want default/web, got none"},
		{"edge", `{every: [{path: prefix: "/"}], notServices: ["web"]}`, "fails notServices: want not default/web, got it"},
		{"edge", `{every: [{scheme: "https"}], status: 404}`, "vacuous"},
		{"edge", `{every: [{}], notServices: ["api", "bytes"]}`, "holds"},
		{"mesh", `{services: ["api"], notReachedFrom: ["edge"], exceptThrough: ["web"]}`, "holds"},
		{"mesh", `{services: ["api"], notReachedFrom: ["edge"]}`, "fails notReachedFrom: default/edge calls default/web calls default/api"},
		{"mesh", `{services: ["bytes"], notReachedFrom: ["edge"], exceptThrough: ["web"]}`, "fails notReachedFrom: default/edge calls default/bytes"},
		{"mesh", `{services: ["api"], notReachedFrom: ["idle"]}`, "holds"},
		{"mesh", `{services: ["api", "web"], reachedBy: only: ["web", "jobs", "edge"]}`, "holds"},
		{"mesh", `{services: ["api", "bytes"], reachedBy: only: ["web", "jobs"]}`, "fails reachedBy: default/bytes lets default/edge in"},
	} {
		got := one(t, c.owner, c.text)
		said := string(got.Verdict) + " " + strings.Join(got.Unmet, "; ")
		if !strings.HasPrefix(said, c.want) {
			t.Errorf("%s of %s:\n  %s, want %s\n  %+v", c.text, c.owner, said, c.want, got)
		}
		if got.Verdict == expect.Fails && got.Request == "" {
			t.Errorf("%s fails without a request: %+v", c.text, got)
		}
	}
}

// one is what becomes of one expectation of the shop.
func one(t *testing.T, owner, text string) expect.Result {
	t.Helper()
	mesh := strings.NewReplacer("EXPECT", "{}", "EDGE", "{}").Replace(shop)
	switch owner {
	case "api":
		mesh = strings.NewReplacer("EXPECT", "{one: "+text+"}", "EDGE", "{}").Replace(shop)
	case "edge":
		mesh = strings.NewReplacer("EXPECT", "{}", "EDGE", "{one: "+text+"}").Replace(shop)
	case "mesh":
		mesh += "\nmesh: expect: one: " + text + "\n"
	}
	res := compile(t, mesh)
	for _, r := range expect.Run(res.Intent, res.Model, expect.Options{Now: now}).Results {
		if r.Name == "one" {
			return r
		}
	}
	t.Fatalf("%s of %s was not judged", text, owner)
	return expect.Result{}
}

// TestPlaintextIsNobody: where plaintext is let in, callers that are named are
// not all that get in.
func TestPlaintextIsNobody(t *testing.T) {
	res := compile(t, strings.NewReplacer("EXPECT", "{}", "EDGE", "{}").Replace(shop))
	for _, r := range expect.Run(res.Intent, res.Model, expect.Options{Now: now}).Results {
		want := map[string]string{"by web": "fails reachedBy: default/bytes lets default/edge in", "in the clear": "fails reachedBy: default/plain lets a client without identity in"}[r.Name]
		if got := string(r.Verdict) + " " + strings.Join(r.Unmet, "; "); got != want {
			t.Errorf("%s: %s, want %s", r.Name, got, want)
		}
	}
}

// TestPatchesAreUnknown: what a patch of Envoy's configuration does to requests
// nobody here knows.
func TestPatchesAreUnknown(t *testing.T) {
	mesh := strings.NewReplacer("EXPECT", `{
		example: {request: from: "web", port: "http", to: {v1: 99.5, v2: 0.5}}
		every: {every: [{method: "DELETE"}], notTo: ["v1"]}
		in: reachedBy: only: ["web", "jobs"]
	}`, "EDGE", "{}").Replace(shop)
	res := compile(t, mesh)
	m := *res.Model
	m.Raw = []model.Raw{{Name: "tune", Kind: model.RawCluster, Target: "outbound|80|v1|api.default.svc.cluster.local"}}
	for _, r := range expect.Run(res.Intent, &m, expect.Options{Now: now}).Results {
		if strings.HasPrefix(r.Owner, "service default/api") && r.Verdict != expect.Unknown {
			t.Errorf("%s: %s", r.Name, r.Verdict)
		}
	}
}
