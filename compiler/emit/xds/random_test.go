package xds_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// dice makes random meshes. A hostile one puts strings and numbers where no
// check would have let them pass.
type dice struct {
	*rand.Rand
	hostile bool
}

func newDice(seed uint64, hostile bool) *dice {
	return &dice{rand.New(rand.NewPCG(seed, 0x6d657368)), hostile}
}

func (d *dice) chance(percent int) bool { return d.IntN(100) < percent }

func pick[T any](d *dice, list ...T) T { return list[d.IntN(len(list))] }

// word is a value of a header, path segment or cookie.
func (d *dice) word() string {
	if d.hostile {
		return pick(d, "", "\x00", "a\r\nb: c", "%REQ(X)%", "é", ":path", "host", "[", "(?", "a?b", "/", "//", "#", "\xff", "*")
	}
	return pick(d, "jason", "v2", "100%", "a b", "x=y", "beta.test", "(1)", "q?")
}

func (d *dice) until() time.Time { return now.Add(time.Duration(d.IntN(5)-2) * time.Hour) }

func (d *dice) mesh() *model.Mesh {
	m := &model.Mesh{Name: "random", TrustDomain: pick(d, domain, "example.org")}
	for i := range 2 + d.IntN(4) {
		m.Services = append(m.Services, d.service(fmt.Sprintf("svc%d", i)))
	}
	if d.chance(60) {
		x := &model.External{Ref: shop("ext"), Host: "api.example.com", Ports: []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}}}
		if d.chance(50) {
			x.Endpoints = []string{"192.0.2.1:80", "192.0.2.2:8080"}
		}
		m.Externals = append(m.Externals, x)
	}
	for _, s := range m.Services {
		s.Uses = d.uses(m, s)
	}
	if d.chance(70) {
		m.Gateways = append(m.Gateways, d.gateway(m))
	}
	return m
}

func (d *dice) uses(m *model.Mesh, self *model.Service) []model.Ref {
	var out []model.Ref
	for _, s := range m.Services {
		if s != self && d.chance(40) {
			out = append(out, s.Ref)
		}
	}
	for _, x := range m.Externals {
		if d.chance(30) {
			out = append(out, x.Ref)
		}
	}
	return out
}

func (d *dice) service(name string) *model.Service {
	s := newService(name, "v1", "v2", "v3")
	s.MTLS = pick(d, model.MTLSStrict, model.MTLSPermissive, model.MTLSDisable)
	if d.chance(10) {
		s.Ports[0].Protocol = model.GRPC
	}
	for i := range 1 + d.IntN(4) {
		r := d.route(fmt.Sprintf("r%d", i))
		if s.Ports[0].Protocol == model.GRPC {
			r.RequestHeaders, r.ResponseHeaders = model.HeaderOps{}, model.HeaderOps{}
			r.Rewrite, r.Redirect, r.Respond, r.Split = nil, nil, nil, d.split()
			for j := range r.Match {
				grpcReadable(&r.Match[j])
			}
		}
		s.Routes = append(s.Routes, r)
	}
	for range d.IntN(3) {
		s.Allow = append(s.Allow, d.allow())
	}
	return s
}

// grpcReadable keeps of a match what grpc-go can judge.
func grpcReadable(m *model.Match) {
	m.Cookies, m.Paths = nil, m.Paths[:min(1, len(m.Paths))]
	for i := range m.Paths {
		m.Paths[i].Not = false
	}
	m.Headers = slices.DeleteFunc(m.Headers, func(h model.NamedMatch) bool { return h.Name[0] == ':' })
}

func (d *dice) route(name string) *model.Route {
	r := newRoute(name, "shop/random.cue", "v1")
	r.Split = d.split()
	r.Timeout = pick(d, 0, time.Second, 1500*time.Millisecond)
	for range d.IntN(3) {
		r.Match = append(r.Match, d.match())
	}
	if d.chance(40) {
		r.Retry = &model.Retry{
			Attempts: uint32(d.IntN(4)), On: []string{"connect-failure", "reset"},
			Statuses: pick(d, nil, []uint32{503}), PerTry: pick(d, 0, time.Second), Methods: pick(d, nil, []string{"GET", "POST"}),
		}
	}
	if d.chance(20) {
		r.Rewrite = &model.Rewrite{Host: pick(d, "", "a.test:80"), Path: pick(d, nil, &model.Substitution{Pattern: "^/a/?", Text: `/\0`})}
	}
	for i := range r.Split {
		if d.chance(20) {
			r.Split[i].RequestHeaders, r.Split[i].ResponseHeaders = d.headerOps(), d.headerOps()
		}
	}
	d.passing(r)
	d.answer(r)
	if d.chance(40) {
		r.RequestHeaders = d.headerOps()
	}
	if d.chance(40) {
		r.ResponseHeaders = d.headerOps()
	}
	if d.chance(30) {
		r.Delay = &model.Delay{Name: "slow", Fixed: time.Second, BasisPoints: uint32(d.IntN(10001)), Until: d.until()}
	}
	if d.chance(30) {
		r.Abort = &model.Abort{Name: "fail", Status: 503, BasisPoints: uint32(d.IntN(10001)), Until: d.until()}
	}
	return r
}

// passing adds what is done with requests beside sending them on.
func (d *dice) passing(r *model.Route) {
	if d.chance(20) {
		r.Mirror = []model.Mirror{{Version: "v3", BasisPoints: uint32(d.IntN(10001))}}
	}
	if d.chance(20) {
		r.Upgrades = []string{"websocket"}
	}
	if d.chance(30) {
		r.Sticky = &model.HashKey{From: pick(d, model.HashCookie, model.HashHeader, model.HashSourceIP), Name: "user"}
	}
	if d.chance(20) {
		r.CORS = &model.CORS{
			Origins: []model.NamedMatch{{Kind: model.Exact, Value: "https://a.test"}, {Kind: model.Regex, Value: "https://[a-z]+"}},
			Methods: []string{"GET"}, MaxAge: time.Minute, HasMaxAge: d.chance(50), Credentials: d.chance(50),
		}
	}
}

// answer makes some routes answer by themselves.
func (d *dice) answer(r *model.Route) {
	switch {
	case d.chance(10):
		r.Redirect = &model.Redirect{Scheme: pick(d, "", "https"), Host: pick(d, "", "b.test"), Port: pick(d, uint16(0), 81), Path: "/new", Status: pick[uint32](d, 301, 302, 303, 307, 308)}
	case d.chance(10):
		r.Respond = &model.Respond{Status: 200, Body: pick(d, "", "hello"), ContentType: pick(d, "", "text/html")}
	default:
		return
	}
	r.Split, r.Retry, r.Timeout, r.Rewrite = nil, nil, 0, nil
	r.Mirror, r.Upgrades, r.Sticky = nil, nil, nil
}

func (d *dice) split() []model.Split {
	first := uint32(d.IntN(model.BasisPointsWhole + 1))
	second := uint32(d.IntN(int(model.BasisPointsWhole - first + 1)))
	out := []model.Split{
		{Version: "v1", BasisPoints: first},
		{Version: "v2", BasisPoints: second},
		{Version: "v3", BasisPoints: model.BasisPointsWhole - first - second},
	}
	return slices.DeleteFunc(out, func(s model.Split) bool { return s.BasisPoints == 0 })
}

func (d *dice) headerOps() model.HeaderOps {
	name := func(s string) string {
		if d.hostile && d.chance(30) {
			return d.word()
		}
		return s
	}
	return model.HeaderOps{
		Set:    []model.Header{{Name: name("x-set"), Value: d.word()}, {Name: "x-set-2", Value: ""}},
		Add:    []model.Header{{Name: name("x-add"), Value: d.word()}},
		Remove: []string{name("x-gone")},
	}
}

func (d *dice) match() model.Match {
	m := model.Match{Methods: pick(d, nil, []string{"GET"}, []string{"GET", "POST"})}
	if m.Methods == nil {
		m.NotMethods = pick(d, nil, []string{"PUT"}, []string{"DELETE", "PUT"})
	}
	for range d.IntN(3) {
		m.Paths = append(m.Paths, d.path())
	}
	for range d.IntN(3) {
		n := d.named("x-user")
		n.Not = d.chance(30)
		m.Headers = append(m.Headers, n)
	}
	for range d.IntN(2) {
		m.Query = append(m.Query, d.maybeNot(d.named("q")))
		m.Cookies = append(m.Cookies, d.maybeNot(d.named("session")))
	}
	if d.chance(20) {
		m.Headers = append(m.Headers, d.maybeNot(model.NamedMatch{Name: "x-count", Kind: model.Range, Value: pick(d, "[1,10)", "[-9,9)")}))
	}
	if d.chance(20) {
		m.Headers = append(m.Headers, d.maybeNot(model.NamedMatch{Name: model.HostHeader, Kind: pick(d, model.Exact, model.Prefix, model.Suffix, model.Contains, model.Regex), Value: "a.test"}))
	}
	if d.chance(20) {
		m.Headers = append(m.Headers, d.maybeNot(model.NamedMatch{Name: model.SchemeHeader, Kind: model.Exact, Value: "https"}))
	}
	return m
}

func (d *dice) maybeNot(n model.NamedMatch) model.NamedMatch {
	n.Not = d.chance(30)
	return n
}

func (d *dice) named(name string) model.NamedMatch {
	kind := pick(d, model.Exact, model.Prefix, model.Suffix, model.Contains, model.Regex, model.Present, model.Absent)
	return model.NamedMatch{Name: name, Kind: kind, Value: d.value(kind)}
}

func (d *dice) value(kind model.MatchKind) string {
	if kind == model.Regex && !d.hostile {
		return pick(d, "[0-9]+", "a.*b", "(?i:jason)", "", "[^?]+")
	}
	return d.word()
}

func (d *dice) path() model.PathMatch {
	kind := pick(d, model.Exact, model.Prefix, model.SegmentPrefix, model.Regex)
	value := pick(d, "/", "/a", "/a/b/", "/api/v1")
	switch {
	case d.hostile:
		value = d.word()
	case kind == model.Regex:
		value = pick(d, "/a.*b", "/[a-z]+/?", "/(x|y)[^/]*")
	}
	return model.PathMatch{Kind: kind, Value: value, IgnoreCase: kind != model.Regex && d.chance(20), Not: d.chance(20)}
}

func (d *dice) allow() model.Rule {
	a := model.Rule{Methods: pick(d, nil, []string{"GET"}, []string{"GET", "PUT"})}
	for range d.IntN(3) {
		p := d.path()
		p.IgnoreCase, p.Not = false, false // of routes only
		a.Paths = append(a.Paths, p)
	}
	switch d.IntN(3) {
	case 0:
		a.Any = true
	case 1:
		a.Authenticated = true
	default:
		a.Principals = []string{spiffe("svc0"), spiffe("svc1")}
	}
	return a
}

func (d *dice) gateway(m *model.Mesh) *model.Gateway {
	g := ingress()
	g.Listeners[0].Hosts = nil
	for _, host := range []string{"*", "*.example.com", "www.example.com"}[:1+d.IntN(3)] {
		h := model.GatewayHost{Host: host}
		for _, s := range m.Services {
			if s.Ports[0].Protocol != model.HTTP {
				continue
			}
			for _, r := range s.Routes {
				h.Routes = append(h.Routes, &model.GatewayRoute{Name: "to/" + r.Name, Service: s.Ref, Port: 9080, Route: r})
			}
		}
		g.Listeners[0].Hosts = append(g.Listeners[0].Hosts, h)
	}
	return g
}
