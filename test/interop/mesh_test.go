package interop

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

const domain = "cluster.local"

// now is the clock of every test.
var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// maker draws one mesh.
type maker struct{ *rand.Rand }

func (m maker) pick(list ...string) string { return list[m.IntN(len(list))] }

func (m maker) chance(percent int) bool { return m.IntN(100) < percent }

// mesh has n services that use each other in one direction, a gateway and two
// externals.
func (m maker) mesh(n int) *model.Mesh {
	out := &model.Mesh{Name: "drawn", TrustDomain: domain}
	for i := range n {
		out.Services = append(out.Services, m.service(i, n))
	}
	fixed := &model.External{
		Ref: model.Ref{Namespace: "shop", Name: "x-fixed"}, Host: "fixed.example.com",
		Ports: []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}}, Endpoints: []string{"192.0.2.1:80", "[2001:db8::1]:80"},
	}
	named := &model.External{
		Ref: model.Ref{Namespace: "shop", Name: "x-named"}, Host: "named.example.com", Timeout: time.Second,
		Ports: []model.Port{{Name: "http", Number: 8080, Protocol: model.HTTP}},
	}
	out.Externals = []*model.External{fixed, named}
	out.Services[0].Uses = append(out.Services[0].Uses, fixed.Ref, named.Ref)
	out.Gateways = []*model.Gateway{m.gateway(out.Services)}
	return out
}

func (m maker) service(i, n int) *model.Service {
	name := fmt.Sprintf("s%d", i)
	s := &model.Service{
		Ref:            model.Ref{Namespace: "shop", Name: name},
		Host:           name + ".shop.svc.cluster.local",
		ServiceAccount: name,
		SPIFFEID:       spiffe(name),
		Ports:          []model.Port{{Name: "http", Number: 9080, Protocol: model.HTTP}},
		MTLS:           model.MTLSMode(m.pick("strict", "permissive", "disable")),
	}
	for v := range 1 + m.IntN(3) {
		s.Versions = append(s.Versions, model.Version{Name: fmt.Sprintf("v%d", v+1)})
	}
	for u := i + 1; u < n; u++ {
		if m.chance(60) {
			s.Uses = append(s.Uses, model.Ref{Namespace: "shop", Name: fmt.Sprintf("s%d", u)})
		}
	}
	for r := range 1 + m.IntN(4) {
		s.Routes = append(s.Routes, m.route(fmt.Sprintf("r%d", r), s))
	}
	for range m.IntN(3) {
		s.Allow = append(s.Allow, m.allow())
	}
	return s
}

func spiffe(name string) string { return "spiffe://" + domain + "/ns/shop/sa/" + name }

func (m maker) route(name string, s *model.Service) *model.Route {
	r := &model.Route{Name: name, Ports: []uint16{9080}, Timeout: time.Duration(m.IntN(3)) * time.Second, Split: m.split(s)}
	for range m.IntN(3) {
		r.Match = append(r.Match, m.match())
	}
	if m.chance(40) {
		r.Retry = m.retry()
	}
	if m.chance(40) {
		r.RequestHeaders, r.ResponseHeaders = m.headerOps(), m.headerOps()
	}
	if m.chance(30) {
		r.Delay = &model.Delay{Name: "d", Fixed: time.Second, BasisPoints: uint32(1 + m.IntN(10000)), Until: now.Add(time.Hour)}
	}
	if m.chance(30) {
		r.Abort = &model.Abort{Name: "a", Status: 503, BasisPoints: uint32(1 + m.IntN(10000)), Until: now.Add(time.Hour)}
	}
	return r
}

func (m maker) split(s *model.Service) []model.Split {
	left := uint32(model.BasisPointsWhole)
	var out []model.Split
	for i, v := range s.Versions {
		share := left
		if i < len(s.Versions)-1 {
			share = uint32(m.IntN(int(left) + 1))
		}
		if share > 0 {
			out = append(out, model.Split{Version: v.Name, BasisPoints: share})
		}
		left -= share
	}
	return out
}

func (m maker) match() model.Match {
	var out model.Match
	if m.chance(70) {
		out.Paths = append(out.Paths, m.path())
	}
	if m.chance(20) {
		out.Paths = append(out.Paths, m.path())
	}
	if m.chance(40) {
		out.Methods = slices.Compact([]string{"GET", m.pick("GET", "POST", "PUT")})
	}
	for range m.IntN(3) {
		out.Headers = append(out.Headers, m.named(m.pick("end-user", "x-beta", "cookie2"), true))
	}
	if m.chance(30) {
		out.Query = append(out.Query, m.named(m.pick("q", "page"), false))
	}
	if m.chance(30) {
		out.Cookies = append(out.Cookies, m.named(m.pick("session", "user"), true))
	}
	return out
}

func (m maker) path() model.PathMatch {
	kind := m.pick("exact", "prefix", "segmentPrefix", "regex")
	value := m.pick("/", "/a", "/a/b", "/reviews/")
	if kind == "regex" {
		value = m.pick("/a.*", "/(a|b)/[0-9]+", "/x")
	}
	return model.PathMatch{Kind: model.MatchKind(kind), Value: value}
}

func (m maker) named(name string, mayNegate bool) model.NamedMatch {
	kind := m.pick("exact", "prefix", "suffix", "contains", "regex", "present", "absent")
	out := model.NamedMatch{Name: name, Kind: model.MatchKind(kind)}
	switch kind {
	case "present", "absent":
	case "regex":
		out.Value = "[a-z]+"
	default:
		out.Value = m.pick("jason", "x", "100%")
	}
	out.Not = mayNegate && m.chance(30)
	return out
}

func (m maker) retry() *model.Retry {
	r := &model.Retry{Attempts: uint32(1 + m.IntN(3)), PerTry: time.Duration(m.IntN(2)) * time.Second}
	for _, on := range []string{"5xx", "connect-failure", "gateway-error", "refused-stream", "reset", "reset-before-request", "retriable-4xx"} {
		if m.chance(40) {
			r.On = append(r.On, on)
		}
	}
	if m.chance(50) || len(r.On) == 0 {
		r.Statuses = []uint32{502, 503}
	}
	if m.chance(50) {
		r.Methods = []string{"GET", "HEAD"}
	}
	return r
}

func (m maker) headerOps() model.HeaderOps {
	return model.HeaderOps{
		Set:    []model.Header{{Name: "x-set", Value: m.pick("1", "50%", "", "a b")}},
		Add:    []model.Header{{Name: "x-add", Value: "2"}},
		Remove: []string{"x-gone"},
	}
}

func (m maker) allow() model.Rule {
	a := model.Rule{Any: m.chance(20)}
	switch {
	case a.Any:
	case m.chance(30):
		a.Authenticated = true
	default:
		a.Principals = []string{spiffe("s0"), spiffe("ingress")}
	}
	if m.chance(40) {
		a.Methods = []string{"GET", "POST"}
	}
	for range m.IntN(3) {
		a.Paths = append(a.Paths, m.path())
	}
	return a
}

func (m maker) gateway(services []*model.Service) *model.Gateway {
	hosts := []model.GatewayHost{{Host: "*"}, {Host: "*.example.com"}, {Host: "shop.example.com"}}
	for i := range hosts {
		for j, s := range services {
			hosts[i].Routes = append(hosts[i].Routes, &model.GatewayRoute{
				Name: fmt.Sprintf("g%d/r0", j), Service: s.Ref, Port: 9080, Route: m.route("r0", s),
			})
		}
	}
	return &model.Gateway{
		Ref:            model.Ref{Namespace: "shop", Name: "ingress"},
		ServiceAccount: "ingress",
		SPIFFEID:       spiffe("ingress"),
		Listeners:      []model.GatewayListener{{Name: "http", Port: 8080, Hosts: hosts}},
	}
}

// workloads gives every version of every service two instances and the gateway
// one.
func workloads(mesh *model.Mesh) []*model.Workload {
	var out []*model.Workload
	port := 20000
	next := func() string { port++; return fmt.Sprintf("127.0.0.1:%d", port) }
	for _, s := range mesh.Services {
		for _, v := range s.Versions {
			for i := range 2 {
				w := &model.Workload{
					ID: fmt.Sprintf("%s-%s-%d", s.Name, v.Name, i), Role: model.RoleSidecar, Service: s.Ref, Version: v.Name,
					Locality: model.Locality{Zone: []string{"", "z1"}[i]},
					Inbound:  map[uint16]string{9080: next()}, App: map[uint16]string{9080: next()},
					Outbound: make(map[string]string), Ready: true,
				}
				for _, u := range s.Uses {
					for _, p := range []uint16{9080, 80, 8080} {
						w.Outbound[model.OutboundKey(u, p)] = next()
					}
				}
				out = append(out, w)
			}
		}
	}
	for _, g := range mesh.Gateways {
		out = append(out, &model.Workload{ID: "ingress-0", Role: model.RoleGateway, Service: g.Ref, Inbound: map[uint16]string{8080: next()}, Ready: true})
	}
	return out
}
