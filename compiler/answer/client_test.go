package answer_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
)

// TestClientOfAGateway: whose client a request is, as far as who says so is
// believed. test/interop holds the same against Envoy.
func TestClientOfAGateway(t *testing.T) {
	for _, c := range []struct {
		name                      string
		hops                      uint32
		nets                      []string
		announced, bytes          bool
		source, client, forwarded string
		want                      string // "" is not known
	}{
		{"nobody is believed", 0, nil, false, false, "10.0.0.1", "192.0.2.1", "192.0.2.2", "10.0.0.1"},
		{"one hop", 1, nil, false, false, "10.0.0.1", "", "192.0.2.1, 192.0.2.2", "192.0.2.2"},
		{"what is given counts more", 1, nil, false, false, "10.0.0.1", "192.0.2.3", "192.0.2.1, 192.0.2.2", "192.0.2.3"},
		{"two hops", 2, nil, false, false, "10.0.0.1", "", "192.0.2.1, 192.0.2.2", "192.0.2.1"},
		{"too few hops", 2, nil, false, false, "10.0.0.1", "", "192.0.2.2", "10.0.0.1"},
		{"no address", 1, nil, false, false, "10.0.0.1", "", "192.0.2.1, unknown", "10.0.0.1"},
		{"networks", 0, []string{"10.0.0.0/8"}, false, false, "10.0.0.1", "", "192.0.2.1, 192.0.2.2, 10.0.0.2", "192.0.2.2"},
		{"all are of the networks", 0, []string{"10.0.0.0/8"}, false, false, "10.0.0.1", "", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"another network", 0, []string{"10.0.0.0/8"}, false, false, "192.0.2.9", "192.0.2.3", "192.0.2.2", "192.0.2.9"},
		{"of a connection that is not known", 0, []string{"10.0.0.0/8"}, false, false, "", "192.0.2.3", "192.0.2.2", "192.0.2.3"},
		{"announced, and not said to whom", 0, nil, true, false, "10.0.0.1", "", "192.0.2.2", ""},
		{"announced", 0, nil, true, false, "10.0.0.1", "192.0.2.3", "192.0.2.2", "192.0.2.3"},
		{"announced, where the one who announces is of the networks", 0, []string{"10.0.0.0/8"}, true, false, "10.0.0.1", "", "192.0.2.2", ""},
		{"announced, behind a hop", 1, nil, true, false, "10.0.0.1", "", "192.0.2.1, 192.0.2.2", "192.0.2.2"},
		{"announced, behind too few hops", 2, nil, true, false, "10.0.0.1", "", "192.0.2.2", ""},
		{"announced bytes", 0, nil, true, true, "10.0.0.1", "192.0.2.3", "", "192.0.2.3"},
		{"bytes have no fields", 1, nil, false, true, "10.0.0.1", "192.0.2.3", "192.0.2.2", "10.0.0.1"},
	} {
		for _, network := range []string{"10.0.0.0/30", "192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32", "192.0.2.9/32"} {
			protocol := model.HTTP
			if c.bytes {
				protocol = model.TCP
			}
			route := &model.Route{Respond: &model.Respond{Status: 200}, Ports: []uint16{80}}
			g := &model.Gateway{
				Ref: model.Ref{Namespace: "a", Name: "g"}, TrustedHops: c.hops, TrustedCIDRs: c.nets, AllowOnly: true,
				Allow: []model.Rule{{Any: true, ClientIPs: []string{network}}},
				Listeners: []model.GatewayListener{{
					Name: "web", Port: 80, Protocol: protocol, ProxyProtocol: c.announced,
					Hosts: []model.GatewayHost{{Host: "*", Routes: []*model.GatewayRoute{{Name: "all", Route: route}}}},
				}},
			}
			req := &answer.Request{Method: "GET", Host: "a", Port: 80, Target: "/", Headers: []model.Header{{Name: "X-Forwarded-For", Value: c.forwarded}}}
			req.Source, _ = netip.ParseAddr(c.source)
			req.Client, _ = netip.ParseAddr(c.client)
			want := false
			if ip, err := netip.ParseAddr(c.want); err == nil {
				want = netip.MustParsePrefix(network).Contains(ip)
			}
			got, ok := answer.Ask(&model.Mesh{TrustDomain: "td", Gateways: []*model.Gateway{g}}, g.Ref, req, time.Now())
			if !ok || got.Authorization.Allowed != want {
				t.Errorf("%s: a client in %s: %+v", c.name, network, got.Authorization)
			}
		}
	}
}
