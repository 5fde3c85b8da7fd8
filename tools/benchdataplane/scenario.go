package main

import (
	"context"
	"fmt"
	"slices"
)

// traffic is what goes through a proxy in a scenario.
type traffic struct {
	h2       bool   // HTTP/2 on every hop that an implementation can
	grpc     bool   // unary calls; HTTP/2
	tcp      bool   // bytes are forwarded; HTTP/1.1 is what they happen to be
	path     string // that is asked for; "" is /
	routes   int    // in the table of the proxy, by prefix; the last one is asked for. 0: one for all
	services int    // that the proxy knows, by host; the last one is asked for. 0: one for all
	told     string // what the proxy tells about requests: of Envoy's connection manager
	node     string // cluster of the node; meshc-proxy counts who calls whom by it
}

// scenario is one way that requests go through proxies of several
// implementations: through one process, or two with mutual TLS between them.
type scenario struct {
	name   string
	tls    bool
	by     []implementation
	each   func(*traffic, implementation) // what is different for one of them
	rate   int                            // requests/s for the latencies; 0: latencies are not measured
	update bool                           // latencies are measured while all clusters are updated, and nothing else is
	moving traffic
}

// implementation is one proxy.
type implementation interface {
	name() string
	start(ctx context.Context, b *bench, h hop) (*running, error)
}

var (
	all     = []implementation{haproxy{}, nginx{}, envoy{}, meshc{}}
	streams = []implementation{haproxy{}, envoy{}, meshc{}} // Debian's nginx has no stream module of its own
	meshes  = []implementation{envoy{}, meshc{}}
)

// scenarios, in the order in which they are measured.
func scenarios() []scenario {
	return []scenario{
		{name: "h1", by: all, rate: 4000},
		{name: "h1-mtls", by: all, tls: true, rate: 2000},
		{name: "h2", by: all, rate: 4000, moving: traffic{h2: true}},
		{name: "h2-mtls", by: all, tls: true, rate: 2000, moving: traffic{h2: true}},
		{name: "grpc", by: all, rate: 2000, moving: traffic{h2: true, grpc: true, path: echoPath}},
		{name: "grpc-mtls", by: all, tls: true, rate: 1000, moving: traffic{h2: true, grpc: true, path: echoPath}},
		{name: "h1-64k", by: all, rate: 1000, moving: traffic{path: "/64k"}},
		{name: "tcp", by: streams, rate: 4000, moving: traffic{tcp: true}},
		{name: "h1-1000-routes", by: all, rate: 4000, moving: traffic{routes: 1000}},
		{name: "h1-1000-services", by: meshes, rate: 4000, moving: traffic{services: 1000}},
		{name: "h1-telemetry", by: meshes, rate: 4000, moving: traffic{told: spansOn + logOn, node: "default/bench"}},
		{name: "update", by: meshes, rate: 4000, update: true, moving: traffic{services: 1000}},
		{name: "telemetry", by: []implementation{told{"off"}, told{"metrics"}, told{"spans"}, told{"log"}}, each: telling},
	}
}

// url is what the load asks for, without the scheme and the address.
func (t traffic) url() string {
	switch {
	case t.routes > 0:
		return fmt.Sprintf("/r/%d/x", t.routes-1)
	case t.path == "":
		return "/"
	}
	return t.path
}

// host is the authority that the load asks for; "" is the address.
func (t traffic) host() string {
	if t.services > 0 {
		return serviceHost(t.services - 1)
	}
	return ""
}

func serviceHost(i int) string { return fmt.Sprintf("service-%d.default.svc.cluster.local", i) }

// hop is one process of a proxy.
type hop struct {
	traffic
	name      string // of the hop
	upstream  string // address that it forwards to
	authority *authority
	in, out   bool   // mutual TLS towards the client, and towards the server
	plane     *plane // of which it has its configuration; nil: from its bootstrap
}

// id is the SPIFFE ID of the hop.
func (h hop) id() string {
	if h.in {
		return serverID
	}
	return clientID
}

// running is a started proxy: the address for the load and the processes whose
// CPU time counts, by hop.
type running struct {
	addr string
	hops []process
	stop []func()
}

type process struct {
	name string
	pids []int
}

func (r *running) end() {
	for _, f := range slices.Backward(r.stop) {
		f()
	}
}

// begin starts an implementation in a scenario: one hop in plaintext; or two, as
// in a mesh, where the client's takes plaintext and originates mutual TLS 1.3, and
// the server's verifies it and speaks plaintext to the backend.
func (b *bench) begin(ctx context.Context, s scenario, by implementation) (*running, error) {
	h := hop{traffic: s.moving, name: "proxy", upstream: b.backends.of(s.moving)}
	if s.each != nil {
		s.each(&h.traffic, by)
	}
	if !s.tls {
		return by.start(ctx, b, h)
	}
	a, err := b.startAuthority()
	if err != nil {
		return nil, err
	}
	h.name, h.authority, h.in = "server", a, true
	server, err := by.start(ctx, b, h)
	if err != nil {
		a.stop()
		return nil, err
	}
	h.name, h.upstream, h.in, h.out = "client", server.addr, false, true
	client, err := by.start(ctx, b, h)
	if err != nil {
		server.end()
		a.stop()
		return nil, err
	}
	return &running{
		addr: client.addr,
		hops: []process{{"client side", client.hops[0].pids}, {"server side", server.hops[0].pids}},
		stop: append(append([]func(){a.stop}, server.stop...), client.stop...),
	}, nil
}
