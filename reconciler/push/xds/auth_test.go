package xds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestWhoMayReadWhat(t *testing.T) {
	protocols(t, func(t *testing.T, world bool) {
		c := startController(t, Options{})
		c.set("c1", shop())
		foreign := newAuthority(t)
		for name, tc := range map[string]struct {
			cert tls.Certificate
			node string
			want codes.Code
		}{
			"another service's workload":         {c.ca.issue(spiffeID("web")), vaultNode, codes.PermissionDenied},
			"a workload that nobody knows":       {c.ca.issue(spiffeID("web")), "sidecar~default/web.v9-0", codes.Unavailable},
			"another role of the same workload":  {c.ca.issue(spiffeID("web")), "gateway~default/web.v1-0", codes.Unavailable},
			"no node id":                         {c.ca.issue(spiffeID("web")), "", codes.InvalidArgument},
			"the same path, other trust domain":  {c.ca.issue("spiffe://other/ns/default/sa/web"), webNode, codes.PermissionDenied},
			"two URI SANs":                       {c.ca.issue(spiffeID("web"), spiffeID("vault")), webNode, codes.Unauthenticated},
			"no URI SAN":                         {c.ca.issue(), webNode, codes.Unauthenticated},
			"a URI SAN that is no SPIFFE ID":     {c.ca.issue("https://mesh.test/ns/default/sa/web"), webNode, codes.Unauthenticated},
			"a trust domain without a path":      {c.ca.issue("spiffe://" + domain), webNode, codes.PermissionDenied},
			"no certificate":                     {tls.Certificate{}, webNode, codes.Unavailable},
			"a certificate of another authority": {foreign.issue(spiffeID("web")), webNode, codes.Unavailable},
		} {
			p := c.client(c.dial(tc.cert), world).start(tc.node)
			if got := p.code(); got != tc.want {
				t.Errorf("%s: %v, want %v", name, got, tc.want)
			}
			if log := p.events(); len(log) != 0 {
				t.Errorf("%s: got %q", name, log)
			}
		}
		if n := c.node(webNode); n.Connected() {
			t.Errorf("a refused stream is listed: %+v", n)
		}
	})
}

func TestOldTLSIsNotServed(t *testing.T) {
	c := startController(t, Options{})
	c.set("c1", shop())
	creds := credentials.NewTLS(&tls.Config{RootCAs: c.ca.pool(), ServerName: "localhost", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{c.ca.issue(spiffeID("web"))}})
	conn, err := grpc.NewClient(c.addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if code := c.client(conn, false).start(webNode).code(); code != codes.Unavailable {
		t.Errorf("TLS 1.1 ends in %v", code)
	}
}

// A later node, a guessed name and another's wildcard lead nowhere.
func TestGuessingGetsNothing(t *testing.T) {
	protocols(t, func(t *testing.T, world bool) {
		c := startController(t, Options{})
		d := shop()
		d.Mesh.Services[0].Uses = append(d.Mesh.Services[0].Uses, ref("vault")) // only reviews may see it
		d = &Desired{Mesh: d.Mesh, Workloads: shop().Workloads}
		for _, w := range d.Workloads {
			if w.Service == ref("reviews") {
				w.Outbound = map[string]string{"default/vault:9080": "127.0.0.1:1"}
			}
		}
		c.set("c1", d)
		p := c.client(c.dial(c.ca.issue(spiffeID("web"))), world).start(webNode)
		c.awaitProgrammed("c1", 1)
		p.events()
		secret := "outbound|9080|v1|vault.default.svc.cluster.local"
		p.mu.Lock()
		for _, typ := range []Type{CDS, EDS, LDS, RDS, SDS} {
			for _, name := range []string{secret, "outbound|9080||vault.default.svc.cluster.local", "default"} {
				p.subs[typ][name] = true
			}
			p.ask(vaultNode, typ, p.nonce[typ], append(sorted(p.subs[typ]), "*"), "", false)
		}
		p.mu.Unlock()
		d2 := *d
		d2.Mesh = shop().Mesh
		d2.Mesh.Services[0].Routes[0].Timeout = 1
		c.set("c2", &d2)
		c.awaitProgrammed("c2", 1)
		log := p.events()
		for _, name := range []string{secret, "outbound|9080||vault.default.svc.cluster.local", "default"} {
			for _, typ := range []Type{CDS, EDS, LDS, RDS, SDS} {
				k := Key{typ, name}
				if p.has(k) != nil {
					t.Errorf("%s was read", k)
				}
				if !world && !slices.Contains(log, "-"+k.String()) {
					t.Errorf("no answer for the absent %s in %q", k, log)
				}
			}
		}
	})
}

func TestUnknownTypeEndsTheStream(t *testing.T) {
	c := startController(t, Options{})
	c.set("c1", shop())
	p := c.client(c.dial(c.ca.issue(spiffeID("web"))), false)
	if err := p.delta.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: "type.googleapis.com/envoy.service.runtime.v3.Runtime"}); err != nil {
		t.Fatal(err)
	}
	go p.loop()
	if code := p.code(); code != codes.InvalidArgument {
		t.Errorf("ends in %v", code)
	}
}

func TestWorkloadThatLeavesLosesItsStream(t *testing.T) {
	c := startController(t, Options{})
	d := shop()
	c.set("c1", d)
	p := c.client(c.dial(c.ca.issue(spiffeID("web"))), false).start(webNode)
	c.awaitProgrammed("c1", 1)
	p.events()
	left := *d
	left.Workloads = slices.DeleteFunc(slices.Clone(d.Workloads), workloadOf("web"))
	c.set("c2", &left)
	if code := p.code(); code != codes.Unavailable {
		t.Errorf("ends in %v", code)
	}
	if log := p.events(); len(log) != 0 {
		t.Errorf("was told %q: absence is no reason to take anything away", log)
	}
}

func TestUnaryCallsNeedAnIdentity(t *testing.T) {
	reached := false
	next := func(context.Context, any) (any, error) { reached = true; return &emptypb.Empty{}, nil }
	for name, ctx := range map[string]context.Context{
		"no peer": context.Background(),
		"no TLS":  peer.NewContext(context.Background(), &peer.Peer{}),
		"unverified": peer.NewContext(context.Background(), &peer.Peer{AuthInfo: credentials.TLSInfo{
			State: tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}},
		}}),
	} {
		if _, err := authenticateUnary(ctx, nil, nil, next); status.Code(err) != codes.Unauthenticated || reached {
			t.Errorf("%s: %v, reached %v", name, err, reached)
		}
	}
}

func TestOnlyADSIsRegistered(t *testing.T) {
	g, err := New(Options{}).NewGRPC(newAuthority(t).serverTLS(spiffeID("c")))
	if err != nil {
		t.Fatal(err)
	}
	for name := range g.GetServiceInfo() {
		if name != "envoy.service.discovery.v3.AggregatedDiscoveryService" {
			t.Errorf("%s is served", name)
		}
	}
}

func TestTLSThatVerifiesNobodyIsRefused(t *testing.T) {
	good := newAuthority(t).serverTLS(spiffeID("c"))
	optional, rootless := good.Clone(), good.Clone()
	optional.ClientAuth, rootless.ClientCAs = tls.RequireAnyClientCert, nil
	for name, c := range map[string]*tls.Config{"none": nil, "any certificate": optional, "system roots": rootless} {
		if _, err := New(Options{}).NewGRPC(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	picks := good.Clone()
	picks.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return optional, nil }
	hard, err := harden(picks)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hard.GetConfigForClient(nil); err == nil {
		t.Error("a picked configuration that verifies nobody is taken")
	}
	if hard.MinVersion != tls.VersionTLS12 || !hard.SessionTicketsDisabled {
		t.Error("old TLS or session tickets are left on")
	}
}
