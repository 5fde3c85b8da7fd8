package model_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/model"
)

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		model.ClusterName(9080, "v1", "reviews.default.svc.cluster.local"): "outbound|9080|v1|reviews.default.svc.cluster.local",
		model.OutboundName(9080, "reviews.default.svc.cluster.local"):      "outbound|9080||reviews.default.svc.cluster.local",
		model.InboundName(9080):                         "inbound|9080",
		model.GatewayName(80):                           "gateway|80",
		model.SPIFFEID("cluster.local", "default", "a"): "spiffe://cluster.local/ns/default/sa/a",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

var patterns = []string{"*", "*.a", "*.b.a", "*.c.b.a", "a", "b.a", "c.b.a", "x.c.b.a", "*.z", "ba"}

func TestHostPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, host string
		want          bool
	}{
		{"*", "x", true}, {"*.a", "b.a", true}, {"*.a", "c.b.a", true}, {"*.a", "a", false}, {"*.a", ".a", false},
		{"*.a", "ba", false}, {"a", "a", true}, {"a", "b.a", false},
	} {
		if got := model.HostAccepts(c.pattern, c.host); got != c.want {
			t.Errorf("HostAccepts(%q, %q) = %v", c.pattern, c.host, got)
		}
	}
}

func TestHostCoversAgreesWithHostAccepts(t *testing.T) {
	hosts := []string{"a", "b.a", "c.b.a", "x.c.b.a", "y.x.c.b.a", "q.z", "ba", "q"}
	rapid.Check(t, func(t *rapid.T) {
		outer, inner := rapid.SampledFrom(patterns).Draw(t, "outer"), rapid.SampledFrom(patterns).Draw(t, "inner")
		covers := true
		for _, h := range hosts {
			covers = covers && (!model.HostAccepts(inner, h) || model.HostAccepts(outer, h))
		}
		if got := model.HostCovers(outer, inner); got != covers {
			t.Fatalf("HostCovers(%q, %q) = %v, and the hosts say %v", outer, inner, got, covers)
		}
	})
}

func TestHostOrder(t *testing.T) {
	got := slices.SortedFunc(slices.Values([]string{"*", "*.a", "z", "*.b.a", "a"}), model.CompareHosts)
	if want := []string{"a", "z", "*.b.a", "*.a", "*"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func mesh() *model.Mesh {
	a, b := model.Ref{Namespace: "n", Name: "a"}, model.Ref{Namespace: "n", Name: "b"}
	route := &model.Route{Name: "r", Ports: []uint16{80}, Split: []model.Split{{Version: "v1", BasisPoints: 10000}}}
	service := func(r model.Ref) *model.Service {
		return &model.Service{Ref: r, Ports: []model.Port{{Number: 80}}, Versions: []model.Version{{Name: "v1"}}, Routes: []*model.Route{route}}
	}
	m := &model.Mesh{Services: []*model.Service{service(a), service(b)}}
	m.Services[0].Uses = []model.Ref{b}
	m.Gateways = []*model.Gateway{{Ref: a, Listeners: []model.GatewayListener{{Hosts: []model.GatewayHost{
		{Host: "*.x", Routes: []*model.GatewayRoute{{Name: "g/r", Service: b, Port: 80, Route: route}}}, {Host: "*"},
	}}}}}
	return m
}

func TestValidate(t *testing.T) {
	if err := mesh().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, damage := range map[string]func(*model.Mesh){
		"not sorted":            func(m *model.Mesh) { slices.Reverse(m.Services) },
		"does not exist":        func(m *model.Mesh) { m.Services[0].Uses[0].Name = "zz" },
		"unknown port 80":       func(m *model.Mesh) { m.Services[0].Ports[0].Number = 81 },
		"unknown version":       func(m *model.Mesh) { m.Services[1].Versions = nil },
		"not 10000":             func(m *model.Mesh) { m.Services[0].Routes[0].Split[0].BasisPoints = 9999 },
		"0 basis points":        func(m *model.Mesh) { m.Services[0].Routes[0].Split[0].BasisPoints = 0 },
		"hosts of listener":     func(m *model.Mesh) { slices.Reverse(m.Gateways[0].Listeners[0].Hosts) },
		"unknown service n/zz":  func(m *model.Mesh) { m.Gateways[0].Listeners[0].Hosts[0].Routes[0].Service.Name = "zz" },
		"holds no rule":         func(m *model.Mesh) { m.Gateways[0].Listeners[0].Hosts[0].Routes[0].Route = nil },
		"unknown port 1 of n/b": func(m *model.Mesh) { m.Gateways[0].Listeners[0].Hosts[0].Routes[0].Port = 1 },
	} {
		m := mesh()
		damage(m)
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestLookups(t *testing.T) {
	m := mesh()
	if m.Service(model.Ref{Namespace: "n", Name: "b"}) != m.Services[1] || m.Service(model.Ref{Name: "b"}) != nil {
		t.Error("Service")
	}
	if m.Gateway(model.Ref{Namespace: "n", Name: "a"}) != m.Gateways[0] || m.External(model.Ref{Namespace: "n", Name: "a"}) != nil {
		t.Error("Gateway or External")
	}
}
