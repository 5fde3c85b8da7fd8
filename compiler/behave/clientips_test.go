package behave_test

import (
	"math/rand/v2"
	"testing"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// TestClientAddressesAgainstAnswer: of two gateways that believe the same and
// differ in rules on addresses, each change has a request that package answer judges
// in two ways, and where none is reported it judges no request in two.
func TestClientAddressesAgainstAnswer(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 71))
	networks := []string{"10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32", "8.8.8.8/32"}
	addresses := []string{"10.0.0.1", "192.0.2.1", "8.8.8.8", "2001:db8::1", "203.0.113.1"}
	pick := func() []string {
		if rng.IntN(2) == 0 {
			return nil
		}
		return []string{networks[rng.IntN(len(networks))]}
	}
	draw := func() *model.Mesh {
		g := &model.Gateway{Ref: model.Ref{Namespace: "a", Name: "g"}, SPIFFEID: "spiffe://td/ns/a/sa/g", AllowOnly: true}
		switch rng.IntN(3) {
		case 0:
			g.TrustedHops = uint32(rng.IntN(3))
		case 1:
			g.TrustedCIDRs = []string{networks[rng.IntN(2)]}
		}
		for range 1 + rng.IntN(2) {
			g.Allow = append(g.Allow, model.Rule{Any: true, IPs: pick(), NotIPs: pick(), ClientIPs: pick(), NotClientIPs: pick()})
			g.Deny = append(g.Deny, model.Rule{Any: true, Ports: []uint16{80}, ClientIPs: []string{networks[rng.IntN(4)]}, NotIPs: pick()})
		}
		for i, p := range []model.Protocol{model.HTTP, model.TCP} {
			answers := &model.Route{Respond: &model.Respond{Status: 200}, Ports: []uint16{uint16(80 + i)}}
			g.Listeners = append(g.Listeners, model.GatewayListener{
				Name: string(p), Port: uint16(80 + i), Protocol: p, ProxyProtocol: rng.IntN(2) == 0 && g.TrustedCIDRs == nil,
				Hosts: []model.GatewayHost{{Host: "*", Routes: []*model.GatewayRoute{{Name: "all", Port: uint16(80 + i), Route: answers}}}},
			})
		}
		return &model.Mesh{TrustDomain: "td", Gateways: []*model.Gateway{g}}
	}
	changes, asked := 0, 0
	for range 150 {
		before, after := draw(), draw()
		as := before.Gateways[0]
		after.Gateways[0].TrustedHops, after.Gateways[0].TrustedCIDRs, after.Gateways[0].Listeners = as.TrustedHops, as.TrustedCIDRs, as.Listeners
		name := behave.Name{Kind: behave.GatewayKind, Ref: before.Gateways[0].Ref}
		diff := behave.Meshes(before, after)
		if len(diff.Objects) > 1 {
			t.Fatalf("%d objects", len(diff.Objects))
		}
		for _, o := range diff.Objects {
			if len(o.Unknown) > 0 {
				t.Fatal(o.Unknown)
			}
			for _, c := range o.Changes {
				changes++
				if was, is := judge(before, name, c.Witness), judge(after, name, c.Witness); was.text() == is.text() {
					t.Errorf("%s\n%+v\n%+v\nboth %s", c.Witness, before.Gateways[0], after.Gateways[0], is.text())
				}
			}
		}
		for _, port := range []uint16{80, 81} {
			for _, peer := range addresses {
				for _, client := range addresses {
					asked++
					q := &reach.Request{Scheme: "http", Host: "a", Port: port, Method: "GET", Path: "/", Address: peer, Client: client}
					if judge(before, name, q).text() != judge(after, name, q).text() && len(diff.Objects) == 0 {
						t.Errorf("no difference is reported, and there is %s\n%+v\n%+v", q, before.Gateways[0], after.Gateways[0])
					}
				}
			}
		}
	}
	t.Logf("%d changes, %d requests", changes, asked)
	if changes < 50 {
		t.Errorf("only %d changes", changes)
	}
}
