package interop

import (
	"context"
	"fmt"
	"maps"
	"net"
	"regexp"
	"sync/atomic"
	"testing"
	"testing/fstest"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/meshc/meshc/compiler/model"
)

// guard lets in what says "x-say: yes", does not answer what says "wait", and
// remembers the last question.
type guard struct {
	authv3.UnimplementedAuthorizationServer
	last atomic.Pointer[authv3.AttributeContext]
}

func (g *guard) Check(ctx context.Context, q *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	g.last.Store(q.Attributes)
	switch q.Attributes.Request.Http.Headers["x-say"] {
	case "yes":
		return &authv3.CheckResponse{Status: &rpcstatus.Status{Code: int32(codes.OK)}}, nil
	case "wait":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &authv3.CheckResponse{Status: &rpcstatus.Status{Code: int32(codes.PermissionDenied)}}, nil
}

// authorizerMesh asks a service beside its own proxy, from a service and from a
// gateway.
const authorizerMesh = `package mesh

mesh: proxy: "envoy"
service: web: {
	versions: v1: {}
	uses: {some: {}, closed: {}, open: {}, lost: {}, adrift: {}}
}
service: guard: {
	ports: rpc: {number: 9080, protocol: "grpc"}
	versions: v1: {}
}
service: gone: {
	ports: rpc: {number: 9080, protocol: "grpc"}
	versions: v1: {}
}
service: closed: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	uses: guard: {}
	security: {
		authorizer: {service: "guard", timeout: "3s", headers: ["x-say"], maxBody: 8}
		deny: [{paths: [{exact: "/denied"}]}]
	}
}
service: open: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	uses: guard: {}
	security: authorizer: {service: "guard", failOpen: true, timeout: "2s"}
}
service: lost: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	uses: gone: {}
	security: authorizer: service: "gone"
}
service: adrift: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	uses: gone: {}
	security: authorizer: {service: "gone", failOpen: true}
}
service: some: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	uses: guard: {}
	security: {
		authorizer: {service: "guard", on: [{paths: [{segmentPrefix: "/asked"}]}, {hosts: ["ask.example"]}, {methods: ["PUT"]}], except: [{paths: [{exact: "/asked/not"}]}]}
		deny: [{paths: [{exact: "/denied"}]}]
	}
}
service: behind: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
}
gateway: edge: {
	listeners: web: {port: 8080, protocol: "http"}
	security: authorizer: service: "guard"
	routes: all: to: "behind"
}
`

// TestAuthorizer holds meshc-proxy to what Envoy does.
func TestAuthorizer(t *testing.T) {
	counted := map[kind]map[string]string{}
	for _, k := range []kind{envoy, meshc} {
		t.Run(string(k), func(t *testing.T) { counted[k] = authorizer(t, k) })
	}
	sameCounts(t, counted)
}

// counts are the series of x whose name fits that are not 0; which is whose they are.
func (x *proxy) counts(which string, fits *regexp.Regexp) map[string]string {
	out := map[string]string{}
	for _, s := range x.scraped() {
		if fits.MatchString(s.name) && s.value != "0" {
			out[fmt.Sprint(which, " ", s.name, " ", s.labels)] = s.value
		}
	}
	return out
}

// sameCounts: Envoy counts something, and meshc-proxy the same.
func sameCounts(t *testing.T, of map[kind]map[string]string) {
	t.Helper()
	if len(of[envoy]) == 0 {
		t.Error("Envoy counts nothing")
	}
	for name, want := range of[envoy] {
		if got := of[meshc][name]; got != want {
			t.Errorf("%s: %q of meshc-proxy, %q of Envoy", name, got, want)
		}
	}
	for name, got := range of[meshc] {
		if _, ok := of[envoy][name]; !ok {
			t.Errorf("%s: %q of meshc-proxy, none of Envoy", name, got)
		}
	}
}

var authorizerCounts = regexp.MustCompile(`ext_authz_(ok|denied|error|failure_mode_allowed|disabled|invalid)$`)

func authorizer(t *testing.T, k kind) map[string]string {
	b := newBed(t, compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(authorizerMesh)},
	}))
	g := &guard{}
	b.sidecar(ref("guard"), "v1", envoy, serveGuard(t, g))
	b.application(ref("gone"), "v1", "gone-v1", newPlace(t))
	web := b.sidecar(ref("web"), "v1", envoy, "")
	for _, s := range []string{"some", "closed", "open", "lost", "adrift", "behind"} {
		b.sidecar(ref(s), "v1", k, b.backends.start(t, s, nil))
	}
	edge := b.gateway(ref("edge"), k)
	b.run()
	for _, c := range []struct {
		name, service, target, say string
		status                     int
	}{
		{"let in", "closed", "/", "yes", 200},
		{"refused", "closed", "/", "no", 403},
		{"no answer", "closed", "/", "wait", 403},
		{"let in, and denied by a rule", "closed", "/denied", "yes", 403},
		{"let in", "open", "/", "yes", 200},
		{"refused", "open", "/", "no", 403},
		{"no answer", "open", "/", "wait", 200},
		{"nobody there", "lost", "/", "yes", 403},
		{"nobody there", "adrift", "/", "no", 200},
		{"not asked", "some", "/", "no", 200},
		{"not asked, and denied by a rule", "some", "/denied", "no", 403},
		{"asked by path, refused", "some", "/asked", "no", 403},
		{"asked by path below, refused", "some", "/asked/x?y", "no", 403},
		{"asked by a path that is not normal", "some", "/x/../asked", "no", 403},
		{"asked by path, let in", "some", "/asked", "yes", 200},
		{"not asked by a longer name", "some", "/askedx", "no", 200},
		{"not asked by exception", "some", "/asked/not", "no", 200},
		{"let in", "edge", "/", "yes", 200},
		{"refused", "edge", "/", "no", 403},
		{"no answer", "edge", "/", "wait", 403},
	} {
		t.Run(c.service+"/"+c.name, func(t *testing.T) {
			at := edge.Inbound[8080]
			if c.service != "edge" {
				at = web.Outbound[model.OutboundKey(ref(c.service), meshPort)]
			}
			got := b.ask(at, "GET", c.target, "x-say: "+c.say, "x-more: 1")
			if got.status != c.status || (got.got != nil) != (c.status == 200) {
				t.Errorf("%d, application reached: %v; want %d", got.status, got.got != nil, c.status)
			}
			if c.service == "closed" {
				told := g.last.Load()
				if told == nil {
					t.Fatal("it was not asked")
				}
				if h := told.Request.Http.Headers; h["x-more"] != "" || told.Source.Principal != b.mesh.Service(ref("web")).SPIFFEID {
					t.Errorf("it was told %v of %q", h, told.Source.Principal)
				}
			}
		})
	}
	t.Run("some/by host and method", func(t *testing.T) {
		at := web.Outbound[model.OutboundKey(ref("some"), meshPort)]
		if got := b.ask(at, "GET", "/", "host: ask.example", "x-say: no"); got.status != 403 {
			t.Errorf("by host: %d", got.status)
		}
		if got := b.ask(at, "PUT", "/", "x-say: no"); got.status != 403 {
			t.Errorf("by method: %d", got.status)
		}
	})
	out := map[string]string{}
	for _, p := range b.all() {
		p.refusedNothing()
	}
	for _, s := range []string{"some", "closed", "open", "lost", "adrift", "behind", "edge"} {
		maps.Copy(out, b.proxies[s+"-"+string(k)].counts(s, authorizerCounts))
	}
	return out
}

func serveGuard(t *testing.T, g authv3.AuthorizationServer) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	authv3.RegisterAuthorizationServer(s, g)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}
