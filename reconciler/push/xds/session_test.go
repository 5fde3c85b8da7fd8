package xds

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// newSet makes a set by hand; "cluster v" gives a cluster and its endpoints.
func newSet(commit string, rs ...*Resource) *nodeSet {
	set := &nodeSet{node: webNode, commit: commit, content: &content{}}
	for t := range set.res {
		set.res[t] = map[string]*Resource{}
	}
	for _, r := range rs {
		set.res[r.Type][r.Name] = r
	}
	set.index()
	return set
}

func clusterAt(name, version string) []*Resource {
	return []*Resource{simResource(CDS, name, version, Key{EDS, name}), simResource(EDS, name, version)}
}

func listenerTo(route, version string, clusters ...string) []*Resource {
	var to []Key
	for _, c := range clusters {
		to = append(to, Key{CDS, c})
	}
	return []*Resource{simResource(LDS, "l", "1", Key{RDS, route}), simResource(RDS, route, version, to...)}
}

// script drives a session by hand and prints what it sends.
type script struct {
	t   *testing.T
	now time.Time
	*session
	last map[Type]string
}

func newScript(t *testing.T, set *nodeSet) *script {
	s := &script{t: t, now: time.Unix(1e9, 0), session: newSession(false, simTimeout, &memory{}), last: map[Type]string{}}
	s.setDesired(set)
	return s
}

func (s *script) sends() string {
	var out []string
	for _, r := range s.plan(s.now) {
		s.last[r.typ] = r.nonce
		var names []string
		for _, x := range r.resources {
			names = append(names, x.Name+"="+x.Version)
		}
		for _, n := range r.removed {
			names = append(names, "-"+n)
		}
		out = append(out, r.typ.String()+" "+strings.Join(names, " "))
	}
	return strings.Join(out, "; ")
}

func (s *script) feed(r *discoveryv3.DeltaDiscoveryRequest) string {
	s.t.Helper()
	if err := s.delta(s.now, r); err != nil {
		s.t.Fatal(err)
	}
	return s.sends()
}

func (s *script) sub(t Type, names ...string) string {
	return s.feed(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesSubscribe: names})
}

func (s *script) unsub(t Type, names ...string) string {
	return s.feed(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesUnsubscribe: names})
}

func (s *script) ack(t Type) string {
	return s.feed(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResponseNonce: s.last[t]})
}

func (s *script) nack(t Type, why string) string {
	return s.feed(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResponseNonce: s.last[t], ErrorDetail: &rpcstatus.Status{Message: why}})
}

func (s *script) want(got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Fatalf("sends %q, want %q", got, want)
	}
}

func (s *script) goal(set *nodeSet) string {
	s.setDesired(set)
	return s.sends()
}

// up brings a whole configuration to a client: one cluster a, one listener.
func (s *script) up() {
	s.t.Helper()
	s.want(s.sub(CDS), "CDS a=1")
	s.want(s.sub(LDS), "")
	s.want(s.ack(CDS), "")
	s.want(s.sub(EDS, "a"), "EDS a=1")
	s.want(s.ack(EDS), "LDS l=1")
	s.want(s.ack(LDS), "")
	s.want(s.sub(RDS, "r"), "RDS r=1")
	s.want(s.ack(RDS), "")
	if s.programmed != "c1" || !s.done {
		s.t.Fatalf("programmed %q, done %v", s.programmed, s.done)
	}
}

func first1() *nodeSet {
	return newSet("c1", append(clusterAt("a", "1"), listenerTo("r", "1", "a")...)...)
}

func TestRouteWaitsForItsClusterToWarm(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	s.want(s.goal(newSet("c2", append(clusterAt("b", "1"), listenerTo("r", "2", "b")...)...)), "CDS b=1")
	// Envoy confirms a cluster when it is warm: its endpoints cannot wait for that.
	s.want(s.sub(EDS, "b"), "EDS b=1")
	s.want(s.ack(CDS), "")
	s.want(s.ack(EDS), "RDS r=2") // the switch
	s.want(s.ack(RDS), "CDS -a")  // and only then the end of the old one
	s.want(s.unsub(EDS, "a"), "") // a client drops the endpoints itself
	s.want(s.ack(CDS), "")
	if s.programmed != "c2" {
		t.Errorf("programmed %q", s.programmed)
	}
}

func TestColdClusterHoldsItsRouteOnly(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	set := newSet("c2", slices.Concat(clusterAt("a", "1"), clusterAt("b", "1"), listenerTo("r", "2", "b"),
		[]*Resource{simResource(LDS, "other", "1")})...)
	s.want(s.goal(set), "CDS b=1; LDS other=1")
	s.want(s.ack(CDS), "")
	s.want(s.ack(LDS), "")
	end, ok := s.next()
	if !ok || end.Sub(s.now) != simTimeout {
		t.Fatalf("next wait ends at %v, %v", end, ok)
	}
	s.now = end
	s.want(s.sends(), "")
	waits := s.status(s.now).Waits
	if len(waits) != 1 || !waits[0].TimedOut || waits[0].Key != (Key{RDS, "r"}) || waits[0].On != (Key{CDS, "b"}) {
		t.Errorf("status shows %+v", waits)
	}
	if got := waits[0].String(); got != "RDS r waits for CDS b (timed out)" {
		t.Errorf("the wait reads %q", got)
	}
	s.want(s.sub(EDS, "b"), "EDS b=1")
	s.want(s.ack(EDS), "RDS r=2") // late is not never
}

func TestNewerStateReplacesOneInProgress(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	s.want(s.goal(newSet("c2", append(clusterAt("b", "1"), listenerTo("r", "2", "b")...)...)), "CDS b=1")
	s.want(s.goal(newSet("c3", append(clusterAt("c", "1"), listenerTo("r", "3", "c")...)...)), "")
	s.want(s.ack(CDS), "CDS c=1")
	if s.types[CDS].lastACK.Commit != "c2" {
		t.Errorf("the answer is booked for %q, not for the commit of its response", s.types[CDS].lastACK.Commit)
	}
	s.want(s.ack(CDS), "")
	s.want(s.sub(EDS, "b", "c"), "EDS b=1 c=1") // b was sent and not retired: it still has endpoints
	s.want(s.ack(EDS), "RDS r=3")
	s.want(s.ack(RDS), "CDS -a -b")
	s.want(s.ack(CDS), "EDS -a -b") // this client did not unsubscribe: it is told
	s.want(s.ack(EDS), "")
}

func TestChangedClusterGetsItsEndpointsAgain(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	set := append([]*Resource{simResource(CDS, "a", "2", Key{EDS, "a"}), simResource(EDS, "a", "1")}, listenerTo("r", "1", "a")...)
	s.want(s.goal(newSet("c2", set...)), "CDS a=2; EDS a=1")
}

func TestSubscriptions(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	s.want(s.sub(EDS, "nobody"), "EDS -nobody")
	s.want(s.ack(EDS), "")
	s.want(s.sub(EDS, "a"), "EDS a=1") // asking again is asking for it again
	s.want(s.ack(EDS), "")
	s.want(s.goal(newSet("c2", append(clusterAt("nobody", "1"), first1().all()...)...)), "CDS nobody=1; EDS nobody=1")
	s.want(s.ack(CDS), "") // a name that was absent came to be
	s.want(s.ack(EDS), "")
	s.want(s.sub(CDS, "a"), "CDS a=1")
	s.want(s.ack(CDS), "")
	s.want(s.unsub(CDS, "a"), "CDS a=1") // the wildcard covers it still, and says so
	s.want(s.ack(CDS), "")
	s.want(s.unsub(CDS, "*"), "")
	if len(s.types[CDS].acked) != 0 {
		t.Errorf("nothing is subscribed, yet %v is held", s.types[CDS].acked)
	}
	s.want(s.sub(CDS, "*"), "CDS a=1 nobody=1")
}

func (n *nodeSet) all() []*Resource {
	var out []*Resource
	for _, t := range n.res {
		for _, r := range t {
			out = append(out, r)
		}
	}
	return out
}

func TestStaleNonceConfirmsNothing(t *testing.T) {
	s := newScript(t, first1())
	s.want(s.sub(CDS), "CDS a=1")
	s.last[CDS] = "bogus"
	s.want(s.ack(CDS), "")
	if s.types[CDS].flight == nil || s.types[CDS].lastACK != nil {
		t.Error("a bogus nonce counts as an answer")
	}
}

func TestRefusedVersionIsNotSentAgain(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	bad := append(clusterAt("a", "1"), listenerTo("r", "bad", "a")...)
	s.want(s.goal(newSet("c2", bad...)), "RDS r=bad")
	s.want(s.nack(RDS, "bad"), "")
	s.want(s.goal(newSet("c2", bad...)), "")
	// Another commit that still has it brings its other news, and not that.
	s.want(s.goal(newSet("c3", append(clusterAt("b", "1"), bad...)...)), "CDS b=1")
	s.want(s.ack(CDS), "")
	s.want(s.sub(EDS, "b"), "EDS b=1")
	s.want(s.ack(EDS), "")
	if s.programmed != "c1" {
		t.Errorf("programmed %q although a resource of it was refused", s.programmed)
	}
	s.want(s.goal(newSet("c4", append(clusterAt("a", "1"), listenerTo("r", "good", "a")...)...)), "RDS r=good")
	s.want(s.ack(RDS), "CDS -b")
}

func TestRefusedCommitIsRolledBack(t *testing.T) {
	s := newScript(t, first1())
	s.up()
	set := slices.Concat(clusterAt("a", "2"), clusterAt("bad", "1"), listenerTo("r", "1", "a"))
	s.want(s.goal(newSet("c2", set...)), "CDS a=2 bad=1; EDS a=2")
	// Envoy took a=2 and says what it did not take.
	s.want(s.nack(CDS, `Error adding/updating cluster(s) bad: no good`), "CDS a=1 -bad")
	s.want(s.ack(EDS), "EDS a=2") // after the cluster, once more
	if names := s.types[CDS].lastNACK.Names; !slices.Equal(names, []string{"bad"}) {
		t.Errorf("the NACK is booked for %q", names)
	}
	s.want(s.ack(CDS), "")
	// Endpoints go on although the commit does not.
	moved := append(slices.Concat(clusterAt("bad", "1"), listenerTo("r", "1", "a")), simResource(CDS, "a", "2", Key{EDS, "a"}), simResource(EDS, "a", "3"))
	s.want(s.ack(EDS), "")
	s.want(s.goal(newSet("c2", moved...)), "EDS a=3")
}

func TestReportedVersionsAreNotSentAgain(t *testing.T) {
	s := newScript(t, first1())
	s.want(s.feed(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: CDS.URL(), InitialResourceVersions: map[string]string{"a": "1", "old": "7"}}), "")
	s.want(s.feed(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: LDS.URL(), InitialResourceVersions: map[string]string{"l": "0"}}), "")
	s.want(s.feed(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: EDS.URL(), ResourceNamesSubscribe: []string{"a"}, InitialResourceVersions: map[string]string{"a": "1"}}), "LDS l=1")
	// What the old listener and its routes lead to is unknown: old stays.
	s.want(s.feed(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: RDS.URL(), ResourceNamesSubscribe: []string{"r"}, InitialResourceVersions: map[string]string{"r": "0"}}), "RDS r=1")
	s.want(s.ack(LDS), "")
	s.want(s.ack(RDS), "CDS -old")
}

func TestTooManyNames(t *testing.T) {
	s := newScript(t, first1())
	names := make([]string, maxNames+1)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	if err := s.delta(s.now, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: EDS.URL(), ResourceNamesSubscribe: names}); err == nil {
		t.Error("taken")
	}
	if err := s.world(s.now, &discoveryv3.DiscoveryRequest{TypeUrl: EDS.URL(), ResourceNames: names}); err == nil {
		t.Error("taken")
	}
}

func TestLargeSetsAreCut(t *testing.T) {
	var rs []*Resource
	for i := range 5 {
		r := simResource(LDS, fmt.Sprint(i), "1")
		r.Body.Value = make([]byte, chunkBytes/2)
		rs = append(rs, r)
	}
	s := newScript(t, newSet("c1", rs...))
	s.want(s.sub(LDS), "LDS 0=1 1=1")
	s.want(s.ack(LDS), "LDS 2=1 3=1")
	s.want(s.ack(LDS), "LDS 4=1")
}

func TestVersionIsBlindToProvenance(t *testing.T) {
	version := func(commit string, line float64, key string) string {
		rc := &routev3.RouteConfiguration{Name: "r", VirtualHosts: []*routev3.VirtualHost{{Name: "v", Routes: []*routev3.Route{{
			Metadata: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{key: {Fields: map[string]*structpb.Value{
				"commit": structpb.NewStringValue(commit), "line": structpb.NewNumberValue(line),
			}}}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "c"}}},
		}}}}}
		r, err := newResource(RDS, "r", rc, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.Needs, []Key{{CDS, "c"}}) {
			t.Errorf("needs %v", r.Needs)
		}
		return r.Version
	}
	if version("c1", 1, provenance) != version("c2", 9, provenance) {
		t.Error("the commit is part of the version")
	}
	if version("c1", 1, "other") == version("c2", 9, "other") {
		t.Error("other metadata is not part of the version")
	}
}

// Two sidecars whose applications have one address have clusters that differ in
// nothing but whose they are, and neither may be given the other's.
func TestVersionKnowsWhoServesACluster(t *testing.T) {
	version := func(service string) string {
		c := &clusterv3.Cluster{Name: "inbound|8080", Metadata: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
			provenance: {Fields: map[string]*structpb.Value{"service": structpb.NewStringValue(service)}},
		}}}
		r, err := newResource(CDS, c.Name, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Version
	}
	if version("shop") == version("store") {
		t.Error("who serves a cluster is no part of its version")
	}
}

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		"cluster(s) outbound|80|v1|a.b: bad":     true,
		"outbound|80|v1|a.b":                     true,
		"'outbound|80|v1|a.b' is bad":            true,
		"see outbound|80|v1|a.b.":                true,
		"outbound|80|v1|a.b.c is bad":            false,
		"x.outbound|80|v1|a.b is bad":            false,
		"outbound|80|v1|a.bc, outbound|80|v1|a":  false,
		"outbound|80|v1|a.bc outbound|80|v1|a.b": true,
		"":                                       false,
	} {
		if mentions(text, "outbound|80|v1|a.b") != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

// A cluster that a client refused may be in its hands all the same, and stays
// so when the client refuses to remove it: the next goal asks again.
func TestRefusedRemovalIsRemembered(t *testing.T) {
	s := newScript(t, newSet("c1", append(clusterAt("a", "1"), clusterAt("b", "1")...)...))
	s.want(s.sub(CDS, "*"), "CDS a=1 b=1")
	s.want(s.sub(LDS, "*"), "LDS ")
	s.ack(LDS)
	s.want(s.nack(CDS, "b is bad"), "CDS a=1")
	s.want(s.nack(CDS, "a is bad"), "")
	s.want(s.goal(newSet("c2")), "CDS -a -b")
	s.want(s.nack(CDS, "no removals"), "")
	s.want(s.goal(newSet("c3")), "CDS -a -b")
}
