package xds_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/stock"
)

// captured is a mesh with one of each kind that a captured pod serves and calls,
// and the workload of that pod.
func captured() (*model.Mesh, []*model.Workload, *model.Workload) {
	web, reviews, db := newService("web", "v1"), newService("reviews", "v1", "v2"), newService("db", "v1")
	db.Ports[0] = model.Port{Name: "db", Number: 9080, Protocol: model.TCP}
	admin := model.Port{Name: "admin", Number: 9090, Protocol: model.HTTP, MTLS: model.MTLSPermissive}
	open := model.Port{Name: "open", Number: 9091, Protocol: model.HTTP, MTLS: model.MTLSDisable}
	bytes := model.Port{Name: "bytes", Number: 9092, Protocol: model.TCP, MTLS: model.MTLSPermissive}
	web.Ports = append(web.Ports, admin, open, bytes)
	web.Allow = []model.Rule{{Authenticated: true}}
	external := func(name, host string, ports ...model.Port) *model.External {
		return &model.External{Ref: shop(name), Host: host, Ports: ports, Origin: at("shop/"+name+".cue", 1)}
	}
	plain, rpc := model.Port{Name: "http", Number: 443, Protocol: model.HTTP}, model.Port{Name: "rpc", Number: 443, Protocol: model.GRPC}
	queue := external("queue", "queue.example.com", model.Port{Name: "queue", Number: 5672, Protocol: model.TCP})
	queue.Endpoints = []string{"192.0.2.7:5673", "[2001:db8::7]:5673"}
	m := &model.Mesh{
		Name: "captured", TrustDomain: domain, Services: []*model.Service{db, reviews, web},
		Externals: []*model.External{
			external("bank", "bank.example.com", model.Port{Name: "tls", Number: 443, Protocol: model.TLS}),
			external("maps", "maps.example.com", plain), queue,
			external("speech", "speech.example.com", rpc),
		},
	}
	for _, x := range m.Externals {
		web.Uses = append(web.Uses, x.Ref)
	}
	web.Uses = append(web.Uses, db.Ref, reviews.Ref)
	all := xds.DefaultWorkloads(m)
	for _, w := range all {
		if w.Service == web.Ref {
			w.Outbound = nil
			w.Inbound = map[uint16]string{9080: "10.0.0.1:9080", 9090: "10.0.0.1:9090", 9091: "10.0.0.1:9091", 9092: "10.0.0.1:9092"}
			w.App = map[uint16]string{9080: "127.0.0.1:9080", 9090: "127.0.0.1:9090", 9091: "127.0.0.1:9091", 9092: "127.0.0.1:9092"}
			w.Capture = &model.Capture{Addresses: []string{"fd00::1", "10.0.0.1"}, Outbound: map[string][]string{
				"shop/db:9080": {"10.96.0.2:9080"}, "shop/reviews:9080": {"10.96.0.3:9080", "[fd00:96::3]:9080"},
			}}
			return m, all, w
		}
	}
	panic("no workload of web")
}

func TestGoldenCaptured(t *testing.T) {
	m, all, w := captured()
	checkGolden(t, "testdata/captured.txtar", []txtar.File{
		{Name: "want/web.json", Data: indented(t, emitJSON(t, m, w, all))},
		{Name: "want/web.bootstrap.json", Data: staticJSON(t, m, w, all)},
	})
}

func TestEnvoyAcceptsCaptured(t *testing.T) {
	envoy := stock.Envoy(t)
	m, all, w := captured()
	stock.Accepts(t, envoy, w.NodeID(), staticJSON(t, m, w, all))
}

// TestNobodyComesInToGoOut: only the listener of the application's own
// connections hands them on, and only it and that for the pod's are bound.
func TestNobodyComesInToGoOut(t *testing.T) {
	m, all, w := captured()
	res, err := xds.Emit(m, w, all, xds.Options{Now: now})
	if err != nil || len(res.Unplaced) > 0 {
		t.Fatal(err, res.Unplaced)
	}
	var bound, handing []string
	for _, l := range res.Listeners {
		if l.GetBindToPort() == nil {
			bound = append(bound, l.GetName())
		}
		if l.GetUseOriginalDst().GetValue() {
			handing = append(handing, l.GetName())
		}
		for _, c := range l.GetFilterChains() {
			if inbound := l.GetName() == "inbound|15006"; inbound != (c.GetFilterChainMatch().GetDestinationPort() != nil) {
				t.Errorf("%s: chain %s goes by port %v", l.GetName(), c.GetName(), c.GetFilterChainMatch().GetDestinationPort())
			}
		}
	}
	if want := []string{"inbound|15006", "outbound|15001"}; !slices.Equal(bound, want) {
		t.Errorf("bound are %q, want %q", bound, want)
	}
	if want := []string{"outbound|15001"}; !slices.Equal(handing, want) {
		t.Errorf("%q hand connections on, want %q", handing, want)
	}
}

func TestCaptureThatCannotBe(t *testing.T) {
	for want, change := range map[string]func(*model.Mesh, *model.Workload){
		"10.96.0.2:9080 is the address of": func(_ *model.Mesh, w *model.Workload) {
			w.Capture.Outbound["shop/reviews:9080"] = []string{"10.96.0.2:9080"}
		},
		"the pod has no address": func(_ *model.Mesh, w *model.Workload) { w.Capture.Addresses = nil },
		`address "pod"`:          func(_ *model.Mesh, w *model.Workload) { w.Capture.Addresses = []string{"pod"} },
		`address "reviews:9080" is not`: func(_ *model.Mesh, w *model.Workload) {
			w.Capture.Outbound["shop/reviews:9080"] = []string{"10.96.0.3:9080", "reviews:9080"}
		},
		"patches of more than filter chains": func(m *model.Mesh, _ *model.Workload) {
			m.Raw = []model.Raw{{Name: "r", Kind: model.RawListener, Target: "inbound|9080", Patch: `{"per_connection_buffer_limit_bytes": 1024}`}}
		},
		"knows this external by its name": func(m *model.Mesh, _ *model.Workload) {
			m.Raw = []model.Raw{{Name: "r", Kind: model.RawRoutes, Target: "outbound|443||maps.example.com", Patch: `{"ignore_port_in_host_matching": true}`}}
		},
	} {
		m, all, w := captured()
		change(m, w)
		if _, err := xds.Emit(m, w, all, xds.Options{Now: now}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// TestCapturedClientOfNothing: a pod that serves nothing has no port for others,
// and what it calls without an address is named.
func TestCapturedClientOfNothing(t *testing.T) {
	m, all, w := captured()
	w.Inbound, w.App = nil, nil
	m.Service(w.Service).Ports = nil
	delete(w.Capture.Outbound, "shop/db:9080")
	w.Capture.Addresses = w.Capture.Addresses[1:]
	res, err := xds.Emit(m, w, all, xds.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"outbound shop/db:9080"}; !slices.Equal(res.Unplaced, want) {
		t.Errorf("unplaced %q, want %q", res.Unplaced, want)
	}
	i := slices.IndexFunc(res.Listeners, func(l *listenerv3.Listener) bool { return l.GetName() == "outbound|15001" })
	if i < 0 || len(res.Listeners[i].GetAdditionalAddresses()) > 0 || res.Listeners[i].GetAddress().GetSocketAddress().GetAddress() != "0.0.0.0" {
		t.Errorf("listeners %v", res.Listeners)
	}
	if slices.ContainsFunc(res.Listeners, func(l *listenerv3.Listener) bool { return l.GetName() == "inbound|15006" }) {
		t.Error("there is a port for others")
	}
}
