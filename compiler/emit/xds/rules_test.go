package xds_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/stock"
)

func onHost(kind model.MatchKind, value string) []model.NamedMatch {
	return []model.NamedMatch{{Name: model.HostHeader, Kind: kind, Value: value}}
}

// ruleMeanings holds what conditions of rules mean to plaintext requests from
// this machine. Envoy is the judge.
var ruleMeanings = []struct {
	name  string
	rule  model.Rule
	tries []request
}{
	{"everybody", model.Rule{Any: true}, []request{{"/", "", true}}},
	{"identities", model.Rule{Authenticated: true}, []request{{"/", "", false}}},
	{"a namespace", model.Rule{Any: true, Namespaces: []string{"shop"}}, []request{{"/", "", false}}},
	{"all but one", model.Rule{Any: true, NotPrincipals: []string{"spiffe://td/ns/a/sa/b"}}, []request{{"/", "", true}}},
	{"a network", model.Rule{Any: true, IPs: []string{"127.0.0.0/8"}}, []request{{"/", "", true}, {"/", "x-forwarded-for: 10.0.0.1", true}}},
	{"another network", model.Rule{Any: true, IPs: []string{"10.0.0.0/8", "::/0"}}, []request{{"/", "", false}, {"/", "x-forwarded-for: 10.0.0.1", false}}},
	{"outside a network", model.Rule{Any: true, NotIPs: []string{"127.0.0.0/8"}}, []request{{"/", "", false}}},
	{"two networks", model.Rule{Any: true, IPs: []string{"10.0.0.0/8", "127.0.0.1/32"}, NotIPs: []string{"10.0.0.0/8"}}, []request{{"/", "", true}}},
	{"a host", model.Rule{Any: true, Hosts: onHost(model.Exact, "a.test")}, []request{{"/", "host: A.test:80", true}, {"/", "host: b.a.test", false}}},
	{"hosts below", model.Rule{Any: true, Hosts: onHost(model.Suffix, ".a.test")}, []request{{"/", "host: b.A.test", true}, {"/", "host: a.test", false}}},
	{"not a host", model.Rule{Any: true, NotHosts: append(onHost(model.Exact, "a.test"), onHost(model.Suffix, ".b.test")...)}, []request{{"/", "host: A.test:80", false}, {"/", "host: c.B.test", false}, {"/", "host: b.test", true}}},
	{"not a namespace", model.Rule{Any: true, NotNamespaces: []string{"shop"}}, []request{{"/", "", true}}},
	{"a method", model.Rule{Any: true, Methods: []string{"POST", "GET"}}, []request{{"/", "", true}}},
	{"another method", model.Rule{Any: true, Methods: []string{"POST", "PUT"}}, []request{{"/", "", false}}},
	{"not a method", model.Rule{Any: true, NotMethods: []string{"POST", "GET"}}, []request{{"/", "", false}}},
	{"a path but one", model.Rule{Any: true, Paths: []model.PathMatch{path(model.SegmentPrefix, "/a")}, NotPaths: []model.PathMatch{path(model.Exact, "/a/b"), path(model.Regex, "/a/c+")}},
		[]request{{"/a?x", "", true}, {"/a/b?x", "", false}, {"/a/cc", "", false}, {"/ab", "", false}, {"/a/b/", "", true}}},
	{"a header", model.Rule{Any: true, Headers: header(model.Exact, "v", false).Headers}, []request{{"/", "x-h: v", true}, {"/", "x-h: w", false}, {"/", "", false}}},
	{"not a header", model.Rule{Any: true, Headers: header(model.Exact, "v", true).Headers}, []request{{"/", "x-h: v", false}, {"/", "x-h: w", true}, {"/", "", true}}},
	{"a number", model.Rule{Any: true, Headers: header(model.Range, "[1,9)", true).Headers}, []request{{"/", "x-h: 8", false}, {"/", "x-h: 9", true}, {"/", "", true}}},
	{"no header", model.Rule{Any: true, Headers: header(model.Absent, "", false).Headers}, []request{{"/", "x-h: v", false}, {"/", "", true}}},
}

// TestEnvoyAgreesOnRules lets one Envoy judge requests on two ports per rule:
// one allows what the rule holds for, the other denies it.
func TestEnvoyAgreesOnRules(t *testing.T) {
	envoy := stock.Envoy(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer upstream.Close()
	s := newService("ruled", "v1")
	s.MTLS, s.Ports, s.Allow, s.Routes = model.MTLSDisable, nil, nil, nil
	for i, c := range ruleMeanings {
		allowed, denied := c.rule, c.rule
		allowed.Ports, denied.Ports = []uint16{20000 + uint16(i)}, []uint16{21000 + uint16(i)}
		s.Allow, s.Deny = append(s.Allow, allowed, model.Rule{Any: true, Ports: denied.Ports}), append(s.Deny, denied)
		for _, p := range []uint16{allowed.Ports[0], denied.Ports[0]} {
			s.Ports = append(s.Ports, model.Port{Name: "p", Number: p, Protocol: model.HTTP})
		}
	}
	m := &model.Mesh{TrustDomain: domain, Services: []*model.Service{s}}
	all := xds.DefaultWorkloads(m)
	for port := range all[0].App {
		all[0].App[port] = strings.TrimPrefix(upstream.URL, "http://")
	}
	runEnvoy(t, envoy, m, all[0], all)
	for i, c := range ruleMeanings {
		for _, r := range c.tries {
			for port, want := range map[uint16]bool{20000 + uint16(i): r.want, 21000 + uint16(i): !r.want} {
				waitFor(t, all[0].Inbound[port])
				if status, _ := get(t, all[0].Inbound[port], r); (status == 200) != want {
					t.Errorf("%s, %+v on %d: status %d", c.name, r, port, status)
				}
				asked := r.asked()
				asked.Source = netip.MustParseAddr("127.0.0.1")
				if got := answer.Authorize(domain, s, "", asked, port); got.Allowed != want {
					t.Errorf("%s, %+v on %d: the model says %+v", c.name, r, port, got)
				}
			}
		}
	}
}
