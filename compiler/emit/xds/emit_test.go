package xds_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

func find(t *testing.T, all []*model.Workload, service string) *model.Workload {
	t.Helper()
	i := slices.IndexFunc(all, func(w *model.Workload) bool { return w.Service == shop(service) })
	if i < 0 {
		t.Fatalf("no workload of %s", service)
	}
	return all[i]
}

func emitFor(t *testing.T, m *model.Mesh, service string) *xds.Resources {
	t.Helper()
	all := xds.DefaultWorkloads(m)
	res, err := xds.Emit(m, find(t, all, service), all, xds.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// routesTo gives the routes that productpage's sidecar has for reviews.
func routesTo(t *testing.T, m *model.Mesh, from, to string) []*routev3.Route {
	t.Helper()
	name := model.OutboundName(9080, to+".shop.svc.cluster.local")
	for _, rc := range emitFor(t, m, from).Routes {
		if rc.Name == name {
			return rc.VirtualHosts[0].Routes
		}
	}
	t.Fatalf("%s has no routes to %s", from, to)
	return nil
}

// withRoute is Bookinfo with r as the only route of reviews.
func withRoute(change func(*model.Route)) *model.Mesh {
	m := bookinfo()
	r := newRoute("one", "shop/reviews.cue", "v1")
	change(r)
	m.Service(shop("reviews")).Routes = []*model.Route{r}
	return m
}

func TestWeightsAreBasisPointsTimesTheUnit(t *testing.T) {
	rest := routesTo(t, bookinfo(), "productpage", "reviews")[1]
	var sum uint64
	got := map[string]uint32{}
	for _, c := range rest.GetRoute().GetWeightedClusters().GetClusters() {
		got[c.Name] = c.Weight.GetValue()
		sum += uint64(c.Weight.GetValue())
	}
	host := "reviews.shop.svc.cluster.local"
	if got[model.ClusterName(9080, "v1", host)] != 9000*429_481 || got[model.ClusterName(9080, "v2", host)] != 1000*429_481 {
		t.Errorf("weights %v", got)
	}
	if sum != 4_294_810_000 || sum > 1<<32-1 {
		t.Errorf("sum %d", sum)
	}
}

func TestOneDestinationIsAPlainCluster(t *testing.T) {
	m := withRoute(func(r *model.Route) {
		r.Split = []model.Split{{Version: "v1", BasisPoints: model.BasisPointsWhole}, {Version: "v2"}}
	})
	got := routesTo(t, m, "productpage", "reviews")[0].GetRoute().GetCluster()
	if want := model.ClusterName(9080, "v1", "reviews.shop.svc.cluster.local"); got != want {
		t.Errorf("cluster %q, want %q", got, want)
	}
}

func TestZeroTimeoutIsSaid(t *testing.T) {
	m := withRoute(func(r *model.Route) { r.Timeout = 0 })
	d := routesTo(t, m, "productpage", "reviews")[0].GetRoute().Timeout
	if d == nil || d.AsDuration() != 0 {
		t.Errorf("timeout %v: left out, Envoy would take 15 s", d)
	}
}

func TestFaultsEnd(t *testing.T) {
	end := now.Add(time.Hour)
	m := withRoute(func(r *model.Route) {
		r.Delay = &model.Delay{Fixed: 7 * time.Second, BasisPoints: 1, Until: end}
		r.Abort = &model.Abort{Status: 503, BasisPoints: 5000, Until: now}
	})
	m.Service(shop("ratings")).Routes[0].Delay = nil
	route := routesTo(t, m, "productpage", "reviews")[0]
	var fault faultv3.HTTPFault
	if err := route.TypedPerFilterConfig["envoy.filters.http.fault"].UnmarshalTo(&fault); err != nil {
		t.Fatal(err)
	}
	if p := fault.Delay.GetPercentage(); p.GetNumerator() != 100 || p.GetDenominator().String() != "MILLION" {
		t.Errorf("0.01 %% became %v", p)
	}
	if fault.Abort != nil {
		t.Error("a fault that has ended is still there")
	}
	if got := xds.NextExpiry(m, now); !got.Equal(end) {
		t.Errorf("next expiry %v, want %v", got, end)
	}
	if got := xds.NextExpiry(m, end); !got.IsZero() {
		t.Errorf("after the last end, next expiry %v", got)
	}
	m.Externals = []*model.External{{TLS: &model.ExternalTLS{Insecure: &model.Insecure{Until: end.Add(time.Hour)}}}}
	if got := xds.NextExpiry(m, end); !got.Equal(end.Add(time.Hour)) {
		t.Errorf("a certificate is verified again, next expiry %v", got)
	}
}

func TestHeaderValuesAreLiteral(t *testing.T) {
	m := withRoute(func(r *model.Route) {
		r.RequestHeaders = model.HeaderOps{
			Set: []model.Header{{Name: "x-a", Value: "100%"}, {Name: "x-empty"}}, Add: []model.Header{{Name: "x-b", Value: "1"}}, Remove: []string{"x-c"},
		}
	})
	r := routesTo(t, m, "productpage", "reviews")[0]
	set, empty, add := r.RequestHeadersToAdd[0], r.RequestHeadersToAdd[1], r.RequestHeadersToAdd[2]
	if set.Header.Value != "100%%" || set.AppendAction.String() != "OVERWRITE_IF_EXISTS_OR_ADD" {
		t.Errorf("set: %v", set)
	}
	if !empty.KeepEmptyValue {
		t.Error("Envoy drops a header that is set to nothing unless it is told to keep it")
	}
	if add.AppendAction.String() != "APPEND_IF_EXISTS_OR_ADD" || !slices.Equal(r.RequestHeadersToRemove, []string{"x-c"}) {
		t.Errorf("add %v, remove %v", add, r.RequestHeadersToRemove)
	}
}

func TestNegatedHeaderTakesAMissingOne(t *testing.T) {
	m := withRoute(func(r *model.Route) {
		r.Match = []model.Match{{Headers: []model.NamedMatch{{Name: "x-beta", Kind: model.Exact, Value: "no", Not: true}}}}
	})
	routes := routesTo(t, m, "productpage", "reviews")
	if len(routes) != 2 || routes[0].Name != routes[1].Name {
		t.Fatalf("want two routes of one name, got %v", routes)
	}
	if h := routes[1].Match.Headers[0]; !h.GetPresentMatch() || !h.InvertMatch {
		t.Errorf("the second is for a missing header, got %v", h)
	}
}

func TestEachProxySeesWhatItUses(t *testing.T) {
	for _, c := range []struct {
		from  string
		hosts []string
	}{
		{"productpage", []string{"details", "reviews"}}, {"reviews", []string{"ratings"}}, {"ratings", nil}, {"ingress", []string{"productpage"}},
	} {
		seen := map[string]bool{}
		for _, cl := range emitFor(t, bookinfo(), c.from).Clusters {
			if name, outbound := strings.CutPrefix(cl.Name, "outbound|"); outbound {
				host := name[strings.LastIndex(name, "|")+1:]
				seen[strings.TrimSuffix(host, ".shop.svc.cluster.local")] = true
			}
		}
		if len(seen) != len(c.hosts) {
			t.Errorf("%s sees %v, want %v", c.from, seen, c.hosts)
		}
		for _, h := range c.hosts {
			if !seen[h] {
				t.Errorf("%s does not see %s", c.from, h)
			}
		}
	}
}

func TestMutualTLSModes(t *testing.T) {
	for mode, chains := range map[model.MTLSMode][]string{
		model.MTLSStrict: {"mtls"}, model.MTLSPermissive: {"mtls", "plaintext"}, model.MTLSDisable: {"plaintext"},
	} {
		m := bookinfo()
		m.Service(shop("ratings")).MTLS = mode
		var got []string
		for _, l := range emitFor(t, m, "ratings").Listeners {
			for _, c := range l.FilterChains {
				got = append(got, c.Name)
				if tls := c.TransportSocket != nil; tls != (c.Name == "mtls") {
					t.Errorf("%s: chain %s has TLS: %v", mode, c.Name, tls)
				}
			}
		}
		if !slices.Equal(got, chains) {
			t.Errorf("%s: chains %v, want %v", mode, got, chains)
		}
		plain := mode == model.MTLSDisable
		cluster := clusterTo(emitFor(t, m, "reviews"), "ratings")
		if (cluster.TransportSocket == nil) != plain {
			t.Errorf("%s: client's TLS is %v", mode, cluster.TransportSocket)
		}
	}
}

func clusterTo(r *xds.Resources, host string) *clusterv3.Cluster {
	i := slices.IndexFunc(r.Clusters, func(c *clusterv3.Cluster) bool { return strings.Contains(c.Name, "|"+host+".") })
	return r.Clusters[i]
}

func TestBundleIsNamedOnlyWhereTLSIs(t *testing.T) {
	m := bookinfo()
	if got := emitFor(t, m, "ratings").Bundles; !slices.Equal(got, []string{"bundle|cluster.local"}) {
		t.Errorf("bundles %v", got)
	}
	for _, s := range m.Services {
		s.MTLS = model.MTLSDisable
	}
	if got := emitFor(t, m, "reviews").Bundles; len(got) != 0 {
		t.Errorf("a plaintext mesh asks for bundles %v", got)
	}
}

func TestInstancesThatAreNotReadyAreLeftOut(t *testing.T) {
	m := bookinfo()
	all := xds.DefaultWorkloads(m)
	find(t, all, "ratings").Ready = false
	res, err := xds.Emit(m, find(t, all, "reviews"), all, xds.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(res.Endpoints[0].Endpoints); n != 0 {
		t.Errorf("%d localities of a service without a ready instance", n)
	}
}

func TestWhatCannotBeEmittedIsNamed(t *testing.T) {
	for want, breakIt := range map[string]func(*model.Mesh, *model.Workload, []*model.Workload){
		`address "nowhere" is not ip:port`:       func(_ *model.Mesh, w *model.Workload, _ []*model.Workload) { w.App[9080] = "nowhere" },
		"two workloads are called sidecar~shop/": func(_ *model.Mesh, w *model.Workload, all []*model.Workload) { all[1].ID = all[2].ID },
		"are both at":                            func(_ *model.Mesh, _ *model.Workload, all []*model.Workload) { twins(all) },
		`shop/productpage has no version "v9"`:   func(_ *model.Mesh, w *model.Workload, _ []*model.Workload) { w.Version = "v9" },
		`unknown role "butler"`:                  func(_ *model.Mesh, w *model.Workload, _ []*model.Workload) { w.Role = "butler" },
		"weights sum to 9000": func(m *model.Mesh, _ *model.Workload, _ []*model.Workload) {
			m.Services[0].Routes[0].Split[0].BasisPoints = 9000
		},
		`it has no version "v7"`: func(m *model.Mesh, _ *model.Workload, _ []*model.Workload) {
			m.Services[0].Routes[0].Split[0].Version = "v7"
		},
		`header "host" cannot be changed`: func(m *model.Mesh, _ *model.Workload, _ []*model.Workload) {
			m.Services[0].Routes[0].RequestHeaders.Remove = []string{"host"}
		},
		"workload shop/productpage.v1-0": func(_ *model.Mesh, w *model.Workload, _ []*model.Workload) { w.App[9080] = "nowhere" },
	} {
		m := bookinfo()
		all := xds.DefaultWorkloads(m)
		w := find(t, all, "productpage")
		breakIt(m, w, all)
		if _, err := xds.Emit(m, w, all, xds.Options{Now: now}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// twins puts two instances of one version at one address.
func twins(all []*model.Workload) {
	for _, w := range all {
		if w.Service == shop("reviews") {
			w.Version = "v1"
			w.Inbound = map[uint16]string{9080: "127.0.0.1:1"}
		}
	}
}

func TestGRPCClientsAreRefusedWhatTheyCannotDo(t *testing.T) {
	for want, change := range map[string]func(*model.Route){
		"cannot match cookies": func(r *model.Route) {
			r.Match = []model.Match{{Cookies: []model.NamedMatch{{Name: "a", Kind: model.Present}}}}
		},
		"cannot change headers":      func(r *model.Route) { r.ResponseHeaders.Remove = []string{"x"} },
		"two conditions on one path": func(r *model.Route) { r.Match = []model.Match{{Paths: make([]model.PathMatch, 2)}} },
	} {
		m := roles()
		change(m.Service(shop("greeter")).Routes[0])
		all := xds.DefaultWorkloads(m)
		if _, err := xds.Emit(m, find(t, all, "client"), all, xds.Options{Now: now}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// TestGRPCResourcesHaveNothingThatIsNACKed walks over what grpc-go v1.85
// refuses or does not see.
func TestGRPCResourcesHaveNothingThatIsNACKed(t *testing.T) {
	res := emitFor(t, roles(), "client")
	if len(res.Listeners) != 1 || res.Listeners[0].Name != "greeter.shop.svc.cluster.local:9080" || res.Listeners[0].ApiListener == nil {
		t.Fatalf("listeners %v", res.Listeners)
	}
	for _, r := range res.Routes[0].VirtualHosts[0].Routes {
		m := r.Match
		if m.GetPathSeparatedPrefix() != "" || len(m.QueryParameters)+len(m.Cookies) > 0 {
			t.Errorf("route %s: grpc-go does not read %v", r.Name, m)
		}
		if r.Name == "never" {
			t.Error("a route that no RPC can match is there")
		}
	}
	for _, c := range res.Clusters {
		if strings.Contains(string(c.TransportSocket.GetTypedConfig().GetValue()), "meshc-agent") {
			t.Errorf("%s asks grpc-go for SDS", c.Name)
		}
	}
	for _, e := range res.Endpoints {
		for _, l := range e.Endpoints {
			if l.Locality == nil || l.LoadBalancingWeight.GetValue() == 0 {
				t.Errorf("grpc-go ignores %v", l)
			}
		}
	}
}

func TestAddingAServiceMovesNobody(t *testing.T) {
	before := map[string]*model.Workload{}
	m := bookinfo()
	for _, w := range xds.DefaultWorkloads(m) {
		before[w.NodeID()] = w
	}
	m.Services = append([]*model.Service{newService("aaa", "v1")}, m.Services...)
	m.Services = append(m.Services, newService("zzz", "v1"))
	after := xds.DefaultWorkloads(m)
	if len(after) != len(before)+2 {
		t.Fatalf("%d workloads became %d", len(before), len(after))
	}
	seen := map[string]string{}
	for _, w := range after {
		if old := before[w.NodeID()]; old != nil && !sameAddresses(old, w) {
			t.Errorf("%s moved: %v, %v", w.NodeID(), old, w)
		}
		for _, at := range addressesOf(w) {
			if !strings.HasPrefix(at, "127.") || seen[at] != "" {
				t.Errorf("%s is at %s, as is %q", w.NodeID(), at, seen[at])
			}
			seen[at] = w.NodeID()
		}
	}
}

func addressesOf(w *model.Workload) []string {
	var out []string
	for _, a := range w.Inbound {
		out = append(out, a)
	}
	for _, a := range w.App {
		out = append(out, a)
	}
	for _, a := range w.Outbound {
		out = append(out, a)
	}
	slices.Sort(out)
	return out
}

func sameAddresses(a, b *model.Workload) bool { return slices.Equal(addressesOf(a), addressesOf(b)) }

func TestBootstrapNamesWhatIsMissing(t *testing.T) {
	good := xds.BootstrapOptions{NodeID: "n", AgentSocket: "/s", Controller: "h:1", ControllerID: "spiffe://td/c", Admin: "127.0.0.1:1"}
	if boot, err := xds.Bootstrap(good); err != nil || !proto.Equal(boot.DynamicResources.LdsConfig, boot.DynamicResources.CdsConfig) {
		t.Fatal(boot, err)
	}
	for want, change := range map[string]func(*xds.BootstrapOptions){
		"node id":                     func(o *xds.BootstrapOptions) { o.NodeID = "" },
		"socket":                      func(o *xds.BootstrapOptions) { o.AgentSocket = "" },
		`controller: "h"`:             func(o *xds.BootstrapOptions) { o.Controller = "h" },
		`controller: "h:0"`:           func(o *xds.BootstrapOptions) { o.Controller = "h:0" },
		"SPIFFE ID of the controller": func(o *xds.BootstrapOptions) { o.ControllerID = "" },
		"admin":                       func(o *xds.BootstrapOptions) { o.Admin = "here" },
	} {
		o := good
		change(&o)
		if _, err := xds.Bootstrap(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestWhatHasNoAddressIsLeftOutAndNamed(t *testing.T) {
	for want, forget := range map[string]func(*model.Workload){
		"inbound port 9080":          func(w *model.Workload) { w.Inbound = nil },
		"outbound shop/details:9080": func(w *model.Workload) { delete(w.Outbound, "shop/details:9080") },
	} {
		m := bookinfo()
		all := xds.DefaultWorkloads(m)
		w := find(t, all, "productpage")
		whole, err := xds.Emit(m, w, all, xds.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		forget(w)
		res, err := xds.Emit(m, w, all, xds.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Unplaced) != 1 || res.Unplaced[0] != want {
			t.Errorf("unplaced %q, want %q", res.Unplaced, want)
		}
		if got := len(res.Listeners); got != len(whole.Listeners)-1 {
			t.Errorf("%s: %d listeners of %d are left", want, got, len(whole.Listeners))
		}
		if err := res.Complete(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Complete says %v", want, err)
		}
	}
}

func TestPeersDoNotCallAnUnplacedInstance(t *testing.T) {
	m := bookinfo()
	all := xds.DefaultWorkloads(m)
	find(t, all, "details").App = nil
	res, err := xds.Emit(m, find(t, all, "productpage"), all, xds.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range res.Endpoints {
		if strings.Contains(e.ClusterName, "details") && len(e.Endpoints) != 0 {
			t.Errorf("%s has endpoints %v", e.ClusterName, e.Endpoints)
		}
	}
}

func TestALongTimeoutIsNotCutByIdleness(t *testing.T) {
	m := bookinfo()
	details := m.Service(model.Ref{Namespace: "shop", Name: "details"})
	details.Routes[0].Timeout = 20 * time.Minute
	all := xds.DefaultWorkloads(m)
	for _, of := range []string{"productpage", "details"} { // the client's side and the server's
		res, err := xds.Emit(m, find(t, all, of), all, xds.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		var idle []time.Duration
		for _, rc := range res.Routes {
			for _, r := range rc.VirtualHosts[0].Routes {
				if d := r.GetRoute().GetIdleTimeout(); d != nil {
					idle = append(idle, d.AsDuration())
				}
			}
		}
		if len(idle) != 1 || idle[0] != 20*time.Minute {
			t.Errorf("%s: idle timeouts %v, want one of 20m", of, idle)
		}
	}
}
