package xdsclient_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/goleak"

	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/snapshot/build"
	"github.com/meshc/meshc/dataplane/xdsclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listener(t *testing.T, name, version, routes string) []*discoveryv3.Resource {
	return wire(t, name, version, new(listenerv3.Listener), fmt.Sprintf(`{"name": %q,
 "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}},
 "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
  "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  "stat_prefix": "s", "rds": {"config_source": {"ads": {}}, "route_config_name": %q},
  "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}`, name, routes))
}

func cluster(t *testing.T, name, version string) []*discoveryv3.Resource {
	return wire(t, name, version, new(clusterv3.Cluster), fmt.Sprintf(`{"name": %q, "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}}}`, name))
}

func endpoints(t *testing.T, name, version, ip string) []*discoveryv3.Resource {
	return wire(t, name, version, new(endpointv3.ClusterLoadAssignment), fmt.Sprintf(`{"cluster_name": %q, "endpoints": [{"lb_endpoints": [
 {"endpoint": {"address": {"socket_address": {"address": %q, "port_value": 80}}}}]}]}`, name, ip))
}

func routes(t *testing.T, name, version, to string) []*discoveryv3.Resource {
	return wire(t, name, version, new(routev3.RouteConfiguration), fmt.Sprintf(`{"name": %q, "virtual_hosts": [{"name": "v", "domains": ["*"],
 "routes": [{"match": {"prefix": "/"}, "route": {"cluster": %q}}]}]}`, name, to))
}

// engine notes what is applied, in words.
type engine struct {
	applied chan string
	saved   chan []*discoveryv3.Resource
	fail    func(*build.Set) error
}

func (e *engine) apply(set *build.Set) error {
	if e.fail != nil {
		if err := e.fail(set); err != nil {
			return err
		}
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(set.Listeners)) {
		for _, rds := range set.Listeners[name].RouteConfigs() {
			words = append(words, name+"→"+set.Routes[rds].VirtualHosts[0].Routes[0].Entry.Clusters[0].Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set.Clusters)) {
		for _, ep := range set.Endpoints[set.Clusters[name].EDSName].List {
			words = append(words, name+"="+ep.Addr.Addr().String())
		}
	}
	e.applied <- strings.Join(words, " ")
	return nil
}

func start(t *testing.T, c *control, change func(*xdsclient.Options)) *engine {
	e := &engine{applied: make(chan string, 64), saved: make(chan []*discoveryv3.Resource, 64)}
	opts := xdsclient.Options{
		Node:       &corev3.Node{Id: "sidecar~default/x"},
		ADS:        c.client(),
		Apply:      e.apply,
		Save:       func(r []*discoveryv3.Resource) { e.saved <- r },
		Log:        slog.New(slog.NewTextHandler(io.Discard, nil)),
		Coalesce:   time.Millisecond,
		BackoffMin: time.Millisecond, BackoffMax: 5 * time.Millisecond,
	}
	if change != nil {
		change(&opts)
	}
	client, err := xdsclient.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	background(t, client.Run)
	return e
}

func (e *engine) expect(t *testing.T, want string) {
	t.Helper()
	for {
		got := take(t, e.applied, "configuration "+want)
		if got == want {
			return
		}
		t.Logf("on the way: %s", got)
	}
}

// begin plays the first configuration: listener l → routes r → cluster c.
func begin(t *testing.T, s *stream) {
	t.Helper()
	first := s.next()
	if short(first.GetTypeUrl()) != "cds" || first.GetNode().GetId() == "" || first.GetResourceNamesSubscribe()[0] != "*" {
		t.Fatalf("first request %v", first)
	}
	second := s.next()
	if short(second.GetTypeUrl()) != "lds" || second.GetNode() != nil {
		t.Fatalf("second request %v", second)
	}
	subs, refusal := s.acked(s.send(resource.ClusterType, cluster(t, "c", "1")))
	if fmt.Sprint(subs) != "[eds +c]" || refusal != "" {
		t.Fatalf("cluster: subscriptions %v before the answer %q", subs, refusal)
	}
	s.acked(s.send(resource.EndpointsType, endpoints(t, "c", "1", "10.0.0.1")))
	subs, refusal = s.acked(s.send(resource.ListenerType, listener(t, "l", "1", "r")))
	if fmt.Sprint(subs) != "[rds +r]" || refusal != "" {
		t.Fatalf("listener: subscriptions %v before the answer %q", subs, refusal)
	}
	s.acked(s.send(resource.RouteType, routes(t, "r", "1", "c")))
}

func TestFirstConfigurationIsAppliedWhole(t *testing.T) {
	c := newControl(t)
	e := start(t, c, nil)
	begin(t, c.accept())
	if got := take(t, e.applied, "configuration"); got != "l→c c=10.0.0.1" {
		t.Errorf("first configuration %q", got)
	}
}

func TestListenerWarmsUntilItsRoutesCome(t *testing.T) {
	c := newControl(t)
	e := start(t, c, nil)
	s := c.accept()
	begin(t, s)
	e.expect(t, "l→c c=10.0.0.1")

	if _, refusal := s.acked(s.send(resource.ListenerType, listener(t, "l", "2", "late"))); refusal != "" {
		t.Fatal(refusal)
	}
	s.acked(s.send(resource.EndpointsType, endpoints(t, "c", "2", "10.0.0.2")))
	e.expect(t, "l→c c=10.0.0.2") // still the old listener, on its old routes
	s.acked(s.send(resource.RouteType, routes(t, "late", "1", "d")))
	e.expect(t, "l→d c=10.0.0.2")
	s.givesUp("rds", "r")
}

func TestBadResourceIsRefusedAndItsLastGoodStays(t *testing.T) {
	c := newControl(t)
	e := start(t, c, nil)
	s := c.accept()
	begin(t, s)
	e.expect(t, "l→c c=10.0.0.1")

	bad := wire(t, "c", "2", new(clusterv3.Cluster), `{"name": "c", "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}}, "alt_stat_name": "x"}`)
	_, refusal := s.acked(s.send(resource.ClusterType, append(bad, cluster(t, "good", "1")...)))
	if !strings.Contains(refusal, `cluster "c": alt_stat_name`) {
		t.Errorf("error detail %q", refusal)
	}
	s.acked(s.send(resource.EndpointsType, endpoints(t, "good", "1", "10.0.0.9")))
	e.expect(t, "l→c c=10.0.0.1 good=10.0.0.9")
	lie := cluster(t, "c", "3")
	lie[0].Name = "other"
	if _, refusal = s.acked(s.send(resource.ClusterType, lie)); !strings.Contains(refusal, `"other"`) {
		t.Errorf("error detail %q", refusal)
	}
	garbage := cluster(t, "c", "4")
	garbage[0].Resource.Value = []byte{0xff}
	if _, refusal = s.acked(s.send(resource.ClusterType, garbage)); refusal == "" {
		t.Error("garbage was acknowledged")
	}
	if _, refusal = s.acked(s.send("type.googleapis.com/x", nil)); refusal == "" {
		t.Error("an unknown type was acknowledged")
	}
}

func TestRemoval(t *testing.T) {
	c := newControl(t)
	e := start(t, c, nil)
	s := c.accept()
	begin(t, s)
	e.expect(t, "l→c c=10.0.0.1")
	s.acked(s.send(resource.RouteType, nil, "r")) // its listener is still there
	s.acked(s.send(resource.ListenerType, nil, "l"))
	e.expect(t, "c=10.0.0.1")
	s.givesUp("rds", "r")
	if subs, _ := s.acked(s.send(resource.ClusterType, nil, "c")); fmt.Sprint(subs) != "[eds -c]" {
		t.Errorf("subscriptions %v", subs)
	}
	e.expect(t, "")
}

func TestClusterWithoutAssignmentHasNoEndpoints(t *testing.T) {
	c := newControl(t)
	e := start(t, c, nil)
	s := c.accept()
	begin(t, s)
	e.expect(t, "l→c c=10.0.0.1")
	s.acked(s.send(resource.ClusterType, cluster(t, "none", "1")))
	s.acked(s.send(resource.EndpointsType, nil, "none"))
	s.acked(s.send(resource.RouteType, routes(t, "r", "2", "none")))
	e.expect(t, "l→none c=10.0.0.1")
}

func TestReconnectNamesVersionsAndKeepsServing(t *testing.T) {
	c := newControl(t)
	e := start(t, c, nil)
	s := c.accept()
	begin(t, s)
	e.expect(t, "l→c c=10.0.0.1")
	c.stop()
	c.start()
	s = c.accept()
	versions := make(map[string]string)
	for range 4 {
		req := s.next()
		versions[short(req.GetTypeUrl())] = fmt.Sprint(req.GetResourceNamesSubscribe(), req.GetInitialResourceVersions())
	}
	want := map[string]string{"cds": "[*] map[c:1]", "eds": "[c] map[c:1]", "lds": "[*] map[l:1]", "rds": "[r] map[r:1]"}
	if !maps.Equal(versions, want) {
		t.Errorf("got %v, want %v", versions, want)
	}
	s.acked(s.send(resource.EndpointsType, endpoints(t, "c", "2", "10.0.0.2")))
	e.expect(t, "l→c c=10.0.0.2")
}

func TestListenerThatCannotBeBoundIsRefused(t *testing.T) {
	c := newControl(t)
	e := start(t, c, func(o *xdsclient.Options) {
		o.Probe = func(*resource.Listener) error { return errors.New("address already in use") }
	})
	s := c.accept()
	s.next()
	s.next()
	_, refusal := s.acked(s.send(resource.ListenerType, listener(t, "l", "1", "r")))
	if !strings.Contains(refusal, `listener "l": address already in use`) {
		t.Errorf("error detail %q", refusal)
	}
	s.acked(s.send(resource.ClusterType, nil))
	e.expect(t, "")
}

func TestFailingListenerFallsBackAlone(t *testing.T) {
	c := newControl(t)
	failing := errors.New("no")
	e := &engine{}
	blame := func(set *build.Set) error {
		if l := set.Listeners["l"]; l != nil && l.RouteConfigs()[0] == "bad" {
			return &xdsclient.ListenerError{Name: "l", Err: failing}
		}
		return e.apply(set)
	}
	e2 := start(t, c, func(o *xdsclient.Options) { o.Apply = blame })
	*e = engine{applied: e2.applied}
	s := c.accept()
	begin(t, s)
	e2.expect(t, "l→c c=10.0.0.1")
	s.acked(s.send(resource.EndpointsType, endpoints(t, "c", "2", "10.0.0.2")))
	e2.expect(t, "l→c c=10.0.0.2")
	s.acked(s.send(resource.ListenerType, listener(t, "l", "2", "bad")))
	s.acked(s.send(resource.RouteType, append(routes(t, "bad", "1", "d"), routes(t, "r", "2", "e")...)))
	s.acked(s.send(resource.EndpointsType, endpoints(t, "c", "3", "10.0.0.3")))
	for {
		got := take(t, e2.applied, "configuration with the new endpoints")
		if strings.Contains(got, "10.0.0.3") {
			break
		}
	}
}

func TestSavedConfigurationServesAtOnceAndIsBroughtUpToDate(t *testing.T) {
	c := newControl(t)
	e := start(t, c, nil)
	begin(t, c.accept())
	e.expect(t, "l→c c=10.0.0.1")
	saved := take(t, e.saved, "what to save")

	c.stop() // nobody is there
	again := start(t, c, func(o *xdsclient.Options) { o.Saved = saved })
	again.expect(t, "l→c c=10.0.0.1")
	c.start()
	for range 2 { // the first client comes back too
		s := c.accept()
		for range 4 {
			s.next()
		}
		s.acked(s.send(resource.ClusterType, nil, "c"))
		s.acked(s.send(resource.ListenerType, nil, "l"))
	}
	again.expect(t, "")
}

func TestDamagedSavedConfigurationIsAnError(t *testing.T) {
	c := newControl(t)
	_, err := xdsclient.New(xdsclient.Options{
		Node: &corev3.Node{Id: "x"}, ADS: c.client(), Apply: func(*build.Set) error { return nil },
		Saved: listener(t, "l", "1", "r"),
	})
	if err == nil || !strings.Contains(err.Error(), "route configuration r") {
		t.Errorf("error %v", err)
	}
}

func TestIncompleteFirstConfigurationIsAppliedAfterAWait(t *testing.T) {
	c := newControl(t)
	e := start(t, c, func(o *xdsclient.Options) { o.FirstWait = 20 * time.Millisecond })
	s := c.accept()
	s.next()
	s.next()
	s.acked(s.send(resource.ClusterType, cluster(t, "cold", "1")))
	s.acked(s.send(resource.ListenerType, listener(t, "l", "1", "r")))
	s.acked(s.send(resource.RouteType, routes(t, "r", "1", "cold")))
	e.expect(t, "l→cold")
}

// A new listener that wants the address of one that serves is the one to go,
// whichever of the two the engine names.
func TestListenerWithATakenAddressDoesNotPushOutTheOwner(t *testing.T) {
	for _, blamed := range []string{"l", "thief"} {
		t.Run(blamed, func(t *testing.T) {
			c := newControl(t)
			e := start(t, c, func(o *xdsclient.Options) {
				apply := o.Apply
				o.Apply = func(set *build.Set) error {
					if set.Listeners["l"] != nil && set.Listeners["thief"] != nil {
						return &xdsclient.ListenerError{Name: blamed, Err: errors.New("address is the other's")}
					}
					return apply(set)
				}
			})
			s := c.accept()
			begin(t, s)
			e.expect(t, "l→c c=10.0.0.1")
			s.acked(s.send(resource.ListenerType, append(listener(t, "l", "2", "r"), listener(t, "thief", "1", "r")...)))
			s.acked(s.send(resource.EndpointsType, endpoints(t, "c", "2", "10.0.0.2")))
			for {
				got := take(t, e.applied, "configuration with the new endpoint")
				if !strings.HasPrefix(got, "l→c") {
					t.Fatalf("%q is in force", got)
				}
				if strings.HasSuffix(got, "c=10.0.0.2") {
					break
				}
			}
			s.acked(s.send(resource.ListenerType, nil, "l")) // now the address is free
			e.expect(t, "thief→c c=10.0.0.2")
		})
	}
}
