package xds

import (
	"slices"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/model"
)

// hollowAt is a cluster whose assignment is empty.
func hollowAt(name string) []*Resource {
	return []*Resource{simResource(CDS, name, "1", Key{EDS, name}), simResource(EDS, name, "0")}
}

// upWith brings a to a client, then a goal that has b, which the client asks
// for and confirms; what is sent last is returned.
func (s *script) upWith(b []*Resource, routes ...*Resource) string {
	s.t.Helper()
	s.up()
	s.want(s.goal(newSet("c2", slices.Concat(clusterAt("a", "1"), b, routes)...)), "CDS b=1")
	s.want(s.sub(EDS, "b"), "EDS b="+b[1].Version)
	s.want(s.ack(CDS), "")
	return s.ack(EDS)
}

func TestANewRouteWaitsForAnEndpoint(t *testing.T) {
	s := newScript(t, first1())
	route := listenerTo("r", "2", "a", "b")
	s.want(s.upWith(hollowAt("b"), route...), "")
	waits := s.status(s.now).Waits
	if len(waits) != 1 || waits[0].String() != "RDS r waits for CDS b to have an endpoint" {
		t.Errorf("status shows %+v", waits)
	}
	if s.done || s.programmed != "c1" {
		t.Errorf("programmed %q, done %v", s.programmed, s.done)
	}
	there := slices.Concat(clusterAt("a", "1"), clusterAt("b", "1"), route)
	s.want(s.goal(newSet("c2", there...)), "EDS b=1")
	s.want(s.ack(EDS), "RDS r=2")
	s.want(s.ack(RDS), "")
	if s.programmed != "c2" {
		t.Errorf("programmed %q", s.programmed)
	}
	// The instance goes: nothing is held back from a route that sends there.
	gone := slices.Concat(clusterAt("a", "1"), hollowAt("b"), listenerTo("r", "3", "b"))
	s.want(s.goal(newSet("c3", gone...)), "EDS b=0")
	s.want(s.ack(EDS), "RDS r=3")
}

func TestAnInstanceThatNeverComesHoldsForTheTimeoutOnly(t *testing.T) {
	s := newScript(t, first1())
	s.want(s.upWith(hollowAt("b"), listenerTo("r", "2", "b")...), "")
	s.now = s.now.Add(simTimeout - time.Second)
	s.want(s.sends(), "")
	// Another commit, endpoints of b that come and go: the time runs on.
	set := slices.Concat(clusterAt("a", "2"), hollowAt("b"), listenerTo("r", "3", "b"))
	s.want(s.goal(newSet("c3", set...)), "CDS a=2; EDS a=2")
	set[3] = simResource(EDS, "b", "0-other")
	s.want(s.goal(newSet("c3", set...)), "")
	s.want(s.ack(EDS), "EDS b=0-other")
	s.want(s.ack(CDS), "")
	end, ok := s.next()
	if !ok || end != time.Unix(1e9, 0).Add(simTimeout) {
		t.Errorf("the wait ends at %v, %v", end, ok)
	}
	s.now = end
	s.want(s.ack(EDS), "RDS r=3")
	s.want(s.ack(RDS), "")
	if s.programmed != "c3" {
		t.Errorf("programmed %q", s.programmed)
	}
}

func TestWhereNothingServesNothingWaits(t *testing.T) {
	s := newScript(t, newSet("c1", append(hollowAt("a"), listenerTo("r", "1", "a")...)...))
	s.want(s.sub(CDS), "CDS a=1")
	s.want(s.sub(LDS), "")
	s.want(s.ack(CDS), "")
	s.want(s.sub(EDS, "a"), "EDS a=0")
	s.want(s.ack(EDS), "LDS l=1")
	s.want(s.ack(LDS), "")
	s.want(s.sub(RDS, "r"), "RDS r=1")
}

func TestAnotherRouteToTheSameEmptyClusterWaits(t *testing.T) {
	s := newScript(t, first1())
	few := listenerTo("r", "2", "a", "b")
	few[1].edges = []edge{{"jason", "b"}, {"rest", "a"}}
	s.want(s.upWith(hollowAt("b"), few...), "")
	s.now = s.now.Add(simTimeout)
	s.want(s.sends(), "RDS r=2")
	s.want(s.ack(RDS), "")
	all := listenerTo("r", "3", "a", "b")
	all[1].edges = []edge{{"jason", "b"}, {"rest", "b"}}
	s.want(s.goal(newSet("c3", slices.Concat(clusterAt("a", "1"), hollowAt("b"), all)...)), "")
	less := listenerTo("r", "4", "b")
	less[1].edges = []edge{{"jason", "b"}}
	s.want(s.goal(newSet("c4", slices.Concat(hollowAt("b"), less)...)), "RDS r=4")
}

func TestAClusterWithItsOwnAddressesIsNeverEmpty(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	set := slices.Concat(clusterAt("a", "1"), []*Resource{simResource(CDS, "dns", "1")}, listenerTo("r", "2", "dns"))
	s.want(s.goal(newSet("c2", set...)), "CDS dns=1")
	s.want(s.ack(CDS), "RDS r=2")
}

func TestAListenerThatTurnsToOtherRoutesWaits(t *testing.T) {
	s := newScript(t, first1())
	turned := []*Resource{simResource(LDS, "l", "2", Key{RDS, "q"}), simResource(RDS, "q", "1", Key{CDS, "b"})}
	s.want(s.upWith(hollowAt("b"), turned...), "")
	s.now = s.now.Add(simTimeout)
	s.want(s.sends(), "LDS l=2")
	s.want(s.ack(LDS), "RDS -r")
	s.want(s.sub(RDS, "q"), "")
	s.want(s.ack(RDS), "RDS q=1")
}

// A client that comes back with routes that this server has not sent may be
// serving with them.
func TestUnknownRoutesAreTakenToServe(t *testing.T) {
	set := slices.Concat(clusterAt("a", "1"), hollowAt("b"), listenerTo("r", "2", "a", "b"))
	s := newScript(t, newSet("c1", set...))
	s.want(s.sub(CDS), "CDS a=1 b=1")
	s.want(s.ack(CDS), "")
	s.want(s.sub(EDS, "a", "b"), "EDS a=1 b=0")
	s.want(s.ack(EDS), "")
	s.want(s.sub(LDS), "LDS l=1")
	s.want(s.ack(LDS), "")
	s.types[RDS].seen, s.types[RDS].subs["r"] = true, true
	s.types[RDS].acked["r"] = &Resource{Key: Key{RDS, "r"}, Version: "0", opaque: true}
	s.want(s.sends(), "")
	delete(s.types[RDS].acked, "r")
	s.types[RDS].strange = true // as a state-of-the-world client says it
	s.want(s.sends(), "")
	s.types[RDS].strange = false
	s.want(s.sends(), "RDS r=2")
}

func TestEdgesOfRealRoutes(t *testing.T) {
	share := func(name string, weight uint32) *routev3.WeightedCluster_ClusterWeight {
		return &routev3.WeightedCluster_ClusterWeight{Name: name, Weight: wrapperspb.UInt32(weight)}
	}
	rc := &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{{Routes: []*routev3.Route{
		{Name: "split", Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier:      &routev3.RouteAction_WeightedClusters{WeightedClusters: &routev3.WeightedCluster{Clusters: []*routev3.WeightedCluster_ClusterWeight{share("a", 1), share("b", 0)}}},
			RequestMirrorPolicies: []*routev3.RouteAction_RequestMirrorPolicy{{Cluster: "m"}},
		}}},
		{Name: "one", Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "c"}}}},
		{Name: "none", Action: &routev3.Route_DirectResponse{}},
	}}}}
	r, err := newResource(RDS, "r", rc, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []edge{{"one", "c"}, {"split", "a"}}; !slices.Equal(r.edges, want) {
		t.Errorf("edges %v, want %v", r.edges, want)
	}
	if len(r.Needs) != 4 {
		t.Errorf("needs %v", r.Needs)
	}
}

func TestUsableEndpoints(t *testing.T) {
	zone := &endpointv3.LocalityLbEndpoints{}
	for _, h := range []corev3.HealthStatus{
		corev3.HealthStatus_UNKNOWN, corev3.HealthStatus_HEALTHY, corev3.HealthStatus_DEGRADED,
		corev3.HealthStatus_UNHEALTHY, corev3.HealthStatus_DRAINING, corev3.HealthStatus_TIMEOUT,
	} {
		zone.LbEndpoints = append(zone.LbEndpoints, &endpointv3.LbEndpoint{HealthStatus: h})
	}
	for want, m := range map[int]proto.Message{
		3: &endpointv3.ClusterLoadAssignment{Endpoints: []*endpointv3.LocalityLbEndpoints{zone}},
		6: &endpointv3.ClusterLoadAssignment{Endpoints: []*endpointv3.LocalityLbEndpoints{zone, zone}},
		0: &clusterv3.Cluster{},
	} {
		if got := usable(m); got != want {
			t.Errorf("%d usable endpoints, want %d", got, want)
		}
	}
}

// One commit that adds a version and sends it requests: over a real stream, the
// route follows the first ready instance.
func TestOneCommitAddsAVersionAndSendsItTraffic(t *testing.T) {
	protocols(t, func(t *testing.T, world bool) {
		c := startController(t, Options{})
		c.set("c1", shop())
		p := c.client(c.dial(c.ca.issue(spiffeID("web"))), world).start(webNode)
		c.awaitProgrammed("c1", 1)
		p.events()
		next := shop()
		reviews := next.Mesh.Services[0]
		reviews.Versions = append(reviews.Versions, model.Version{Name: "v3"})
		reviews.Routes[0] = route("all", model.Split{Version: "v1", BasisPoints: 5000}, model.Split{Version: "v3", BasisPoints: 5000})
		c.set("c2", next)
		cluster := Key{CDS, "outbound|9080|v3|reviews.default.svc.cluster.local"}
		c.await("the route waits", func() bool {
			w := waits(c.Status(), webNode)
			return len(w) == 1 && w[0].Endpoint && w[0].On == cluster && w[0].Key == Key{RDS, webRoute}
		})
		if log := p.events(); slices.Contains(log, "+RDS "+webRoute) {
			t.Errorf("the route came before any instance: %q", log)
		}
		ready := *next
		ready.Workloads = append(slices.Clone(next.Workloads), &model.Workload{
			ID: "reviews.v3-0", Role: model.RoleSidecar, Service: ref("reviews"), Version: "v3", Ready: true,
			Inbound: map[uint16]string{9080: "127.0.0.9:9080"}, App: map[uint16]string{9080: "127.0.0.10:9080"},
		})
		c.set("c2", &ready)
		c.awaitProgrammed("c2", 1)
		before(t, p.events(), "+EDS "+cluster.Name, "+RDS "+webRoute)
	})
}

func waits(all []NodeStatus, node string) []Wait {
	for _, n := range all {
		if n.Node == node && n.Connected() {
			return n.Streams[0].Waits
		}
	}
	return nil
}
