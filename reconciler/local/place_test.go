package local

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/model"
)

// shop has web, which uses api and the external bank, and a gateway.
func shop() *model.Mesh {
	port := []model.Port{{Name: "http-main", Number: 80, Protocol: model.HTTP}}
	ref := func(name string) model.Ref { return model.Ref{Namespace: "shop", Name: name} }
	return &model.Mesh{
		TrustDomain: "cluster.local",
		Services: []*model.Service{
			{Ref: ref("api"), SPIFFEID: "spiffe://cluster.local/ns/shop/sa/api", Ports: port, Versions: []model.Version{{Name: "v1"}, {Name: "v2"}}},
			{Ref: ref("web"), SPIFFEID: "spiffe://cluster.local/ns/shop/sa/web", Ports: port, Versions: []model.Version{{Name: "v1"}}, Uses: []model.Ref{ref("api"), ref("bank")}},
		},
		Externals: []*model.External{{Ref: ref("bank"), Ports: []model.Port{{Name: "http", Number: 8443}}}},
		Gateways:  []*model.Gateway{{Ref: ref("edge"), SPIFFEID: "spiffe://cluster.local/ns/shop/sa/edge", Listeners: []model.GatewayListener{{Port: 80}, {Port: 8080}}}},
	}
}

func placed(t *testing.T, m *model.Mesh, yaml string) *Placement {
	t.Helper()
	c, err := ParseConfig([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Place(m, c, alloc(t, filepath.Join(t.TempDir(), "a.json"), c.Network))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const shopYAML = `
network: 127.9.0.0/16
apps:
  - service: shop/web
    version: v1
    command: [serve, "${LISTEN_HTTP_MAIN}"]
    env: {API: "http://${ADDR_API_HTTP_MAIN}", SAME: "${ADDR_SHOP_API_HTTP_MAIN}", BANK: "${ADDR_BANK_HTTP}"}
  - {service: api, version: v1, command: [api], replicas: 0}
  - {service: api, version: v2, command: [api], replicas: 2}
gateways:
  - {name: edge, listen: {"80": "127.0.0.1:18080"}}
`

func TestEverythingHasItsPlace(t *testing.T) {
	p := placed(t, shop(), shopYAML)
	var ids []string
	seen := map[string]string{}
	for _, w := range p.Workloads {
		ids = append(ids, w.NodeID())
		if w.Ready {
			t.Errorf("%s is ready before it was started", w.ID)
		}
		for _, at := range []map[uint16]string{w.Inbound, w.App} {
			for _, a := range at {
				if seen[a] != "" {
					t.Errorf("%s and %s are both at %s", seen[a], w.ID, a)
				}
				seen[a] = w.ID
			}
		}
	}
	want := []string{"gateway~shop/edge-0", "sidecar~shop/api-v2-0", "sidecar~shop/api-v2-1", "sidecar~shop/web-v1-0"}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[uint16]string{80: "127.0.0.1:18080", 8080: "127.0.0.1:8080"}, p.Workloads[0].Inbound); diff != "" {
		t.Errorf("gateway: %s", diff)
	}
	if len(p.Problems) > 0 {
		t.Errorf("problems: %q", p.Problems)
	}
}

func TestApplicationsLearnTheirAddresses(t *testing.T) {
	p := placed(t, shop(), shopYAML)
	web, app := p.Workloads[3], p.Apps[0]
	api, bank := web.Outbound["shop/api:80"], web.Outbound["shop/bank:8443"]
	if api == "" || bank == "" || api == bank || len(web.Outbound) != 2 {
		t.Fatalf("outbound %v", web.Outbound)
	}
	if diff := cmp.Diff([]string{"serve", web.App[80]}, app.Command); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"API=http://" + api, "BANK=" + bank, "SAME=" + api}, app.Env); diff != "" {
		t.Error(diff)
	}
	if app.Name != "shop.web-v1-0" || app.Node != web.NodeID() {
		t.Errorf("name %q, node %q", app.Name, app.Node)
	}
}

// What local.yaml says and the mesh does not know is told, and the rest runs.
func TestProblemsAreToldAndLeftOut(t *testing.T) {
	m := shop()
	twin := *m.Services[0]
	twin.Ref = model.Ref{Namespace: "other", Name: "api"}
	m.Services = append(m.Services, &twin)
	p := placed(t, m, `
apps:
  - {service: gone, version: v1, command: [x]}
  - {service: web, version: v9, command: [x]}
  - {service: api, version: v1, command: [x]}
  - {service: other/api, version: v1, command: ["${ADDR_WEB_HTTP}"]}
  - {service: web, version: v1, command: [web]}
gateways:
  - {name: door}
  - {name: edge, listen: {"81": "127.0.0.1:81"}}
`)
	for i, want := range []string{
		`no service "gone"`, `service "shop/web" has no version "v9"`, `service "api" is in several namespaces: write shop/api or other/api`,
		`api-v1-0: ${ADDR_WEB_HTTP} is not set`, `no gateway "door"`, `gateway "shop/edge" has no port 81`,
	} {
		if i >= len(p.Problems) || !strings.Contains(p.Problems[i], want) {
			t.Errorf("problem %d of %q is not %s", i, p.Problems, want)
		}
	}
	if names := []string{p.Apps[0].Name, p.Apps[1].Name}; len(p.Apps) != 2 || !slices.Equal(names, []string{"other.api-v1-0", "shop.web-v1-0"}) {
		t.Errorf("applications %v", p.Apps)
	}
}

// A workload keeps its place when others come and go.
func TestPlacesAreKept(t *testing.T) {
	a := alloc(t, filepath.Join(t.TempDir(), "a.json"), "127.9.0.0/16")
	place := func(yaml string) *model.Workload {
		t.Helper()
		c, err := ParseConfig([]byte(yaml))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Place(shop(), c, a)
		if err != nil {
			t.Fatal(err)
		}
		return p.Workloads[len(p.Workloads)-1]
	}
	const web = "apps:\n  - {service: web, version: v1, command: [web]}\n"
	before := place(web)
	after := place("apps:\n  - {service: api, version: v1, command: [api]}\n" + web[len("apps:\n"):])
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

func TestPlaceFailsWhenTheNetworkIsFull(t *testing.T) {
	c, err := ParseConfig([]byte("apps:\n  - {service: api, version: v1, command: [api], replicas: 100}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Place(shop(), c, alloc(t, filepath.Join(t.TempDir(), "a.json"), "127.9.3.0/25")); err == nil || !strings.Contains(err.Error(), "127.9.3.0/25 is full") {
		t.Errorf("got %v", err)
	}
}

// Two services of one name do not share processes, files or sockets.
func TestNamespacesAreKeptApart(t *testing.T) {
	l := layout{"/state"}
	seen := map[string]string{}
	for _, w := range []*model.Workload{
		{Role: model.RoleSidecar, ID: "b-c-v1-0", Service: model.Ref{Namespace: "a", Name: "b-c"}},
		{Role: model.RoleSidecar, ID: "c-v1-0", Service: model.Ref{Namespace: "a-b", Name: "c"}},
		{Role: model.RoleSidecar, ID: "c-v1-0", Service: model.Ref{Namespace: "default", Name: "c"}},
		{Role: model.RoleGateway, ID: "c-v1-0", Service: model.Ref{Namespace: "default", Name: "c"}},
	} {
		socket, err := l.adminSocket(w)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{proxyName(w), l.node(w), socket} {
			if seen[name] != "" {
				t.Errorf("%s and %s are both %s", seen[name], w.NodeID(), name)
			}
			seen[name] = w.NodeID()
		}
	}
}

// A socket whose path would be too long for the kernel lies elsewhere.
func TestLongPathsOfSockets(t *testing.T) {
	runtime := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	w := &model.Workload{Role: model.RoleSidecar, ID: "api-v1-0", Service: model.Ref{Namespace: "shop", Name: "api"}}
	long := layout{"/" + strings.Repeat("long/", 30)}
	socket, err := long.adminSocket(w)
	if err != nil || len(socket) > maxSocketPath || !strings.HasPrefix(socket, runtime) {
		t.Errorf("%s, %v", socket, err)
	}
	if other, err := (layout{long.state + "er"}).adminSocket(w); err != nil || other == socket {
		t.Errorf("another mesh has the same socket: %s, %v", other, err)
	}
	t.Setenv("XDG_RUNTIME_DIR", long.state)
	if _, err := long.adminSocket(w); err == nil || !strings.Contains(err.Error(), "shorter path") {
		t.Errorf("got %v", err)
	}
}

func TestOneAppThatCannotRunDoesNotStopTheOthers(t *testing.T) {
	m := shop()
	m.Services[1].Versions = []model.Version{{Name: "v1"}, {Name: "b-c"}}
	clash := *m.Services[1]
	clash.Ref.Name, clash.Versions, clash.Uses = "web-b", []model.Version{{Name: "c"}}, nil
	rpc := *m.Services[0]
	rpc.Ref.Name, rpc.Ports = "rpc", []model.Port{{Name: "main", Number: 9, Protocol: model.GRPC}}
	m.Services = append(m.Services, &clash, &rpc)
	p := placed(t, m, `
apps:
  - {service: rpc, version: v1, command: [x]}
  - {service: web, version: b-c, command: [x]}
  - {service: web-b, version: c, command: [x]}
  - {service: api, version: v1, command: [api]}
`)
	for i, want := range []string{`service "shop/rpc" speaks and uses grpc alone`, `service "shop/web-b" version "c": another workload is called sidecar~shop/web-b-c-0`} {
		if i >= len(p.Problems) || !strings.Contains(p.Problems[i], want) {
			t.Errorf("problem %d of %q is not %s", i, p.Problems, want)
		}
	}
	if len(p.Apps) != 2 || len(p.Workloads) != 2 {
		t.Errorf("applications %v", p.Apps)
	}
}

// TestWhatMeshcProxyCanStandBeside: grpc and tcp ports beside http ports are
// run; what is meant for Envoy is told and left out.
func TestWhatMeshcProxyCanStandBeside(t *testing.T) {
	m := shop()
	api, web := m.Services[0], m.Services[1]
	api.Ports = append(slices.Clone(api.Ports), model.Port{Name: "rpc", Number: 81, Protocol: model.GRPC})
	if p := placed(t, m, shopYAML); len(p.Problems) != 0 || len(p.Apps) != 3 {
		t.Errorf("grpc beside http: %q, %d applications", p.Problems, len(p.Apps))
	}
	api.Ports[1].Protocol = model.TCP
	p := placed(t, m, shopYAML)
	if len(p.Problems) != 0 || len(p.Apps) != 3 {
		t.Errorf("tcp beside http: %q, %d applications", p.Problems, len(p.Apps))
	}
	m.Gateways[0].Egress = true
	p = placed(t, m, "gateways:\n  - {name: edge}\n")
	if !slices.ContainsFunc(p.Workloads, func(w *model.Workload) bool { return w.Role == model.RoleGateway && w.Inbound[model.EgressPort] != "" }) {
		t.Error("the egress gateway listens nowhere")
	}
	m.Gateways[0].Egress = false
	api.Envoy, web.Envoy, m.Gateways[0].Envoy = true, true, true
	p = placed(t, m, shopYAML)
	for _, want := range []string{
		`service "shop/api" asks for Envoy`, `service "shop/web" asks for Envoy`, `gateway "shop/edge" asks for Envoy`,
	} {
		if !slices.ContainsFunc(p.Problems, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%q does not say %s", p.Problems, want)
		}
	}
	if len(p.Workloads) != 0 {
		t.Errorf("%d workloads", len(p.Workloads))
	}
}
