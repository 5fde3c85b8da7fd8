package engine

import (
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

var shop = snapshot.Party{Service: "shop", Namespace: "prod", Host: "shop.prod.svc.cluster.local", Version: "v2", Principal: "spiffe://mesh/ns/prod/sa/shop"}

func own(version string) func(*Options) {
	return func(o *Options) {
		o.Self = snapshot.Party{Service: "front", Namespace: "edge", Version: version}
		o.Identity = "spiffe://mesh/ns/edge/sa/front"
	}
}

// sample waits for the sample whose name and labels contain all of wants.
func sample(t *testing.T, e *Engine, wants ...string) string {
	t.Helper()
	text, found := "", ""
	eventually(t, strings.Join(wants, " "), func() bool {
		var b strings.Builder
		if err := e.reg.WritePrometheus(&b); err != nil {
			t.Fatal(err)
		}
		text = b.String()
	lines:
		for line := range strings.Lines(text) {
			for _, w := range wants {
				if !strings.Contains(line, w) || line[0] == '#' {
					continue lines
				}
			}
			found = line
			return true
		}
		return false
	})
	return strings.TrimSpace(found[strings.LastIndexByte(strings.TrimSpace(found), ' ')+1:])
}

func TestRequestsAreCountedByWhoCallsWhom(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "hello")
	})
	m := newMesh(app)
	m.chain.HTTP.Direction = "outbound"
	m.cluster().Party = shop
	e := start(t, m, own("v1"))
	c := client(t)
	for range 3 {
		get(t, c, "http://"+addrOf(t, e, "in")+"/200")
	}
	get(t, c, "http://"+addrOf(t, e, "in")+"/503")
	if resp, err := c.Post("http://"+addrOf(t, e, "in")+"/201", "text/plain", strings.NewReader(strings.Repeat("x", 600))); err != nil {
		t.Fatal(err)
	} else {
		resp.Body.Close()
	}
	who := []string{
		`reporter="source"`, `source_workload="front-v1"`, `source_workload_namespace="edge"`, `source_principal="spiffe://mesh/ns/edge/sa/front"`,
		`source_app="front"`, `source_version="v1"`, `source_canonical_service="front"`, `source_canonical_revision="v1"`, `source_cluster="unknown"`,
		`destination_workload="shop-v2"`, `destination_workload_namespace="prod"`, `destination_principal="spiffe://mesh/ns/prod/sa/shop"`,
		`destination_app="shop"`, `destination_version="v2"`, `destination_canonical_service="shop"`, `destination_canonical_revision="v2"`,
		`destination_service="shop.prod.svc.cluster.local"`, `destination_service_name="shop"`, `destination_service_namespace="prod"`,
		`destination_cluster="unknown"`, `request_protocol="http"`, `grpc_response_status=""`, `response_flags="-"`, `connection_security_policy="unknown"`,
	}
	of := func(name, code string) string {
		return sample(t, e, append([]string{name, `response_code="` + code + `"`}, who...)...)
	}
	if got := of("istio_requests_total", "200"); got != "3" {
		t.Errorf("%s requests were answered with 200, want 3", got)
	}
	if got := of("istio_requests_total", "503"); got != "1" {
		t.Errorf("%s requests were answered with 503, want 1", got)
	}
	if got := of("istio_request_bytes_sum", "201"); got != "600" {
		t.Errorf("request bytes %s, want 600", got)
	}
	if got := of("istio_response_bytes_sum", "200"); got != "15" {
		t.Errorf("response bytes %s, want 15", got)
	}
	if got := of("istio_request_duration_milliseconds_count", "200"); got != "3" {
		t.Errorf("%s durations, want 3", got)
	}
}

func TestWithoutClusterNobodyIsCalled(t *testing.T) {
	m := newMesh("127.0.0.1:1")
	m.chain.HTTP.Routes = tableOf(nil)
	e := start(t, m, own(""))
	get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
	sample(t, e, "istio_requests_total", `response_code="404"`, `response_flags="NR"`, `destination_service="unknown"`, `source_workload="front"`, `source_canonical_revision="latest"`)
}

func TestServersCountTheirClients(t *testing.T) {
	m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) {}))
	m.chain.HTTP.Direction = "inbound"
	m.cluster().Party = snapshot.Party{Host: "front.test"}
	e := start(t, m, own("v1"))
	get(t, client(t), "http://"+addrOf(t, e, "in")+"/")
	sample(t, e, "istio_requests_total", `reporter="destination"`, `source_workload="unknown"`, `destination_workload="front-v1"`,
		`destination_service="front.test"`, `connection_security_policy="none"`)
	labels := e.workers[0].partiesOf("inbound", between{principal: "spiffe://mesh/ns/a/sa/caller"})
	got := renderAll(labels)
	for _, want := range []string{`source_workload=caller`, `source_workload_namespace=a`, `source_principal=spiffe://mesh/ns/a/sa/caller`, `destination_principal=spiffe://mesh/ns/edge/sa/front`, `connection_security_policy=mutual_tls`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

func TestCallsCountMessages(t *testing.T) {
	m := grpcMesh(grpcServe(t, interop.NewTestServer()))
	m.cluster().Party = shop
	e := start(t, m, own("v1"))
	call := testgrpc.NewTestServiceClient(grpcDial(t, addrOf(t, e, "in")))
	interop.DoPingPong(within(t), call)
	rpc := []string{`request_protocol="grpc"`, `grpc_response_status="0"`}
	if got := sample(t, e, append(rpc, "istio_request_messages_total")...); got != "4" {
		t.Errorf("%s messages to the server, want 4", got)
	}
	if got := sample(t, e, append(rpc, "istio_response_messages_total")...); got != "4" {
		t.Errorf("%s messages to the client, want 4", got)
	}
}

func TestMessagesAreCountedHoweverTheyAreCut(t *testing.T) {
	var stream []byte
	for _, n := range []int{0, 3, 300, 0, 70000} {
		stream = append(append(stream, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)), make([]byte, n)...)
	}
	for _, cut := range []int{1, 2, 5, 7, 64, len(stream)} {
		var m messages
		for rest := stream; len(rest) > 0; rest = rest[min(cut, len(rest)):] {
			m.pass(rest[:min(cut, len(rest))])
		}
		if m.n != 5 || m.left != 0 || m.head != 0 {
			t.Errorf("cut by %d: %+v", cut, m)
		}
	}
}

func TestConnectionsOfBytesAreCounted(t *testing.T) {
	m := newMesh(rawBackend(t, func(c net.Conn) { _, _ = io.Copy(c, c) }))
	m.cluster().Party = shop
	m.chain.HTTP, m.chain.TCP = nil, &snapshot.TCP{StatPrefix: "test", Direction: "outbound", Clusters: []snapshot.WeightedTCP{{Name: clusterName, Weight: 1}}, Total: 1}
	e := start(t, m, own("v1"))
	c := dial(t, addrOf(t, e, "in"))
	if _, err := c.Write([]byte("four")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	tcp := []string{`request_protocol="tcp"`, `destination_workload="shop-v2"`, `response_flags="-"`, "} 4"}
	sample(t, e, append(tcp, "istio_tcp_sent_bytes_total")...)
	sample(t, e, append(tcp, "istio_tcp_received_bytes_total")...)
	if got := sample(t, e, "istio_tcp_connections_opened_total"); got != "1" {
		t.Errorf("%s opened, want 1", got)
	}
	c.Close()
	if got := sample(t, e, "istio_tcp_connections_closed_total", "} 1"); got != "1" {
		t.Errorf("%s closed, want 1", got)
	}
}

// What comes back after it was forgotten is counted from nothing, and not lost.
func TestCountsOutliveTheirGroup(t *testing.T) {
	m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) {}))
	m.cluster().Party = shop
	e := start(t, m, own("v1"), func(o *Options) { o.Workers = 1 })
	c := client(t)
	get(t, c, "http://"+addrOf(t, e, "in")+"/")
	sample(t, e, "istio_requests_total", "shop-v2")
	for i := range 3 {
		e.reg.Sweep(time.Now().Add(time.Duration(i) * 2 * time.Hour))
	}
	get(t, c, "http://"+addrOf(t, e, "in")+"/")
	if got := sample(t, e, "istio_requests_total", "shop-v2"); got != "1" {
		t.Errorf("%s, want 1", got)
	}
}

func renderAll(labels []telemetry.Label) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(l.Name + "=" + l.Value + ",")
	}
	return b.String()
}

// crowd fills the registry with groups that nothing happens in any more.
func crowd(e *Engine) {
	for i := 0; ; i++ {
		if e.reg.Group(telemetry.Label{Name: "n", Value: strconv.Itoa(i)}) == nil {
			return
		}
	}
}

// What is too much to tell apart is told apart as soon as there is room, and what
// is forgotten is let go of.
func TestCrowdsPass(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/x" {
			w.WriteHeader(201)
		}
	})
	m := newMesh(app)
	m.cluster().Party = shop
	e := start(t, m, own("v1"), oneLoop)
	crowd(e)
	c, url := client(t), "http://"+addrOf(t, e, "in")+"/"
	for range 2 {
		get(t, c, url)
	}
	if got := sample(t, e, "istio_requests_total", `destination_service="other"`); got != "2" {
		t.Errorf("%s of nobody, want 2", got)
	}
	for i := range 3 {
		e.reg.Sweep(time.Now().Add(time.Duration(i) * 2 * time.Hour))
	}
	eventually(t, "requests are told apart", func() bool {
		get(t, c, url)
		var b strings.Builder
		if err := e.reg.WritePrometheus(&b); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(b.String(), `destination_workload="shop-v2"`)
	})
	for i := range 3 {
		e.reg.Sweep(time.Now().Add(time.Duration(10+i) * 2 * time.Hour))
	}
	get(t, c, url+"x") // 201: new labels
	keys := make(chan []between)
	e.workers[0].do(func() {
		ch := e.workers[0].view.listeners["in"].chains[0][0]
		keys <- slices.Collect(maps.Keys(ch.traffic.by))
	})
	for _, k := range <-keys {
		if k.status == 200 {
			t.Errorf("what is forgotten is still there: %+v", k)
		}
	}
}

// A tunnel looks for its counts when something about it has changed, and not for
// each piece that passes.
func TestTunnelsKeepTheirCounts(t *testing.T) {
	m := newMesh(rawBackend(t, func(c net.Conn) { _, _ = io.Copy(c, c) }))
	m.cluster().Party = shop
	m.chain.HTTP, m.chain.TCP = nil, &snapshot.TCP{StatPrefix: "test", Direction: "outbound", Clusters: []snapshot.WeightedTCP{{Name: clusterName, Weight: 1}}, Total: 1}
	e := start(t, m, own("v1"), oneLoop)
	c := dial(t, addrOf(t, e, "in"))
	echo := func() {
		send(t, c, "four")
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	found := func() *tcpCounts {
		out := make(chan *tcpCounts)
		e.workers[0].do(func() { out <- e.workers[0].conns.first.tunnel.counted.found })
		return <-out
	}
	echo()
	first := found()
	if echo(); first == nil || found() != first {
		t.Error("they are looked for again")
	}
	for i := range 3 {
		e.reg.Sweep(time.Now().Add(time.Duration(i) * 2 * time.Hour))
	}
	echo()
	if got := sample(t, e, "istio_tcp_received_bytes_total", "shop-v2", "} 4"); got != "4" || found() == first {
		t.Errorf("after the group was forgotten: %s", got)
	}
}
