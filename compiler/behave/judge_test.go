package behave_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// judgement is what package answer, which knows no diagrams, says of one
// request, without names, places and reasons.
type judgement struct {
	Outcome  string
	Split    []string // sorted: cluster, percent, headers and traffic
	Targets  map[string]string
	Redirect string
	Respond  string
	Sent     *answer.Sent
	Timeout  string
	Longest  string
	Idle     string
	Hash     []string
	Retry    string
	Faults   []string
	MTLS     string
	Server   string
	Protocol model.Protocol
	Caller   string
	Client   []string
	Headers  []string
	Pods     []string // of the service that serves it
	More     []string // mirrors, upgrades, CORS, what keeps users, and rate limits
	Asked    []string // settings of the authorizers that are asked
	Tokens   []string // settings of those tokens that are verified
}

func (j judgement) text() string {
	raw, err := json.Marshal(j)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// asker is the caller that a judge puts into a mesh.
var asker = model.Ref{Namespace: "~", Name: "asker"}

// judge asks for one request to an object; before is a time at which faults are
// on.
func judge(m *model.Mesh, to behave.Name, r *reach.Request) judgement {
	req := &answer.Request{Method: r.Method, Host: r.Host, Port: r.Port, Target: r.Target(), Headers: r.Fields(), Claims: r.Claims}
	req.Source, _ = netip.ParseAddr(r.Address)
	req.Client, _ = netip.ParseAddr(r.Client)
	req.Through, _ = netip.ParseAddr(r.Through)
	if g := m.Gateway(to.Ref); g != nil {
		req.TLS = r.Scheme == "https"
		for _, l := range g.Listeners {
			if g.Believes(req.Source) && l.Port == r.Port { // the scheme is what the proxy in front says
				req.TLS = l.TLS != nil
				req.Headers = append(slices.Clip(req.Headers), model.Header{Name: "x-forwarded-proto", Value: r.Scheme})
			}
		}
	}
	from := to.Ref
	asked := *m
	if to.Kind != behave.GatewayKind {
		if m.Service(to.Ref) == nil && m.External(to.Ref) == nil {
			return judgement{Outcome: "nothing"}
		}
		from = asker
		caller := &model.Service{Ref: asker, SPIFFEID: r.Identity, Uses: []model.Ref{to.Ref}}
		asked.Services = append(slices.Clone(m.Services), caller)
		for i, s := range asked.Services {
			if s.Ref == to.Ref { // the listener decides the service, whatever the request says
				named := *s
				named.Host, named.Routes = r.Host, routesFor(m, s, r.Identity)
				asked.Services[i] = &named
			}
		}
	} else if m.Gateway(to.Ref) == nil {
		return judgement{Outcome: "nothing"}
	}
	got, ok := answer.Ask(&asked, from, req, time.Unix(0, 0))
	if !ok {
		panic("nobody asks")
	}
	return judged(&asked, to, r, got)
}

// routesFor are the routes of s that a caller of the mesh with that identity has,
// for a caller of another name.
func routesFor(m *model.Mesh, s *model.Service, identity string) []*model.Route {
	var own []model.Ref
	for _, caller := range m.Services {
		if caller.SPIFFEID == identity {
			own = append(own, caller.Ref)
		}
	}
	for _, caller := range m.Gateways {
		if caller.SPIFFEID == identity {
			own = append(own, caller.Ref)
		}
	}
	var out []*model.Route
	for _, route := range s.Routes {
		if len(route.From) > 0 && !slices.ContainsFunc(own, route.TakesFrom) {
			continue
		}
		open := *route
		open.From = nil
		for _, ref := range own {
			open = *open.ForCaller(ref)
		}
		if len(own) == 0 {
			open = *open.ForCaller(model.Ref{})
		}
		for _, f := range open.Faults() { // they are his, whatever he is called
			switch f.Kind {
			case "delay":
				open.Delay = forAll(open.Delay, func(d *model.Delay) *model.FaultScope { return &d.FaultScope })
			case "abort":
				open.Abort = forAll(open.Abort, func(a *model.Abort) *model.FaultScope { return &a.FaultScope })
			default:
				open.Bandwidth = forAll(open.Bandwidth, func(b *model.Bandwidth) *model.FaultScope { return &b.FaultScope })
			}
		}
		out = append(out, &open)
	}
	return out
}

func forAll[T any](fault *T, scope func(*T) *model.FaultScope) *T {
	open := *fault
	scope(&open).From = nil
	return &open
}

func judged(m *model.Mesh, to behave.Name, r *reach.Request, got *answer.Answer) judgement {
	out := judgement{Outcome: string(got.Outcome)}
	switch got.Outcome {
	case answer.UnknownHost, answer.NoListener:
		return judgement{Outcome: "nothing"}
	case answer.NoRoute, answer.NoHost:
		return judgement{Outcome: "no route"}
	}
	var service *model.Service
	if got.Service != nil {
		service = m.Service(*got.Service)
	}
	plaintext := to.Kind == behave.ServiceKind && r.Identity == "" && service != nil && service.ModeOn(r.Port) == model.MTLSStrict
	if plaintext && got.Connection != nil {
		return judgement{Outcome: "refused"}
	}
	if got.Outcome == answer.Denied || got.Outcome == answer.Unknown {
		return out
	}
	out.beside(m, service, got)
	t := got.Route
	out.Redirect, out.Respond, out.Sent, out.Timeout, out.Longest, out.Idle = t.Redirect, t.Respond, t.Rewrite, t.Timeout, t.MaxDuration, t.IdleTimeout
	if w := out.Sent; w != nil { // what is rewritten to what it was is not rewritten
		plain := answer.Sent{Host: w.Host, Path: w.Path}
		if plain.Host == r.Host {
			plain.Host = ""
		}
		if plain.Path == r.Target() {
			plain.Path = ""
		}
		if out.Sent = &plain; plain == (answer.Sent{}) {
			out.Sent = nil
		}
	}
	for _, f := range t.Faults {
		out.Faults = append(out.Faults, fmt.Sprint(f.What, f.Percent, f.Until, f.MaxActive))
	}
	if r := t.Retry; r != nil && r.Applies && r.Attempts > 0 && len(r.On) > 0 {
		out.Retry = fmt.Sprint(r.Attempts, r.On, r.PerTry, r.More)
		for _, s := range r.More {
			out.Retry = strings.ReplaceAll(out.Retry, s.At, "")
		}
	}
	if c := got.Connection; c != nil {
		out.MTLS, out.Server = string(c.MTLS), c.Server
		for _, s := range c.TLS {
			out.Client = append(out.Client, "to "+s.Name+s.Value)
		}
	}
	if t.Redirect+t.Respond != "" { // no destination is waited for
		out.Timeout, out.Longest, out.Idle, out.Retry, out.Sent = "", "", "", "", nil
	}
	if service != nil && got.Outcome == answer.Allowed {
		for _, set := range service.Injection.Settings() {
			out.Pods = append(out.Pods, set.Name+"="+set.Value)
		}
	}
	out.destinations(m, service, got)
	if to.Kind == behave.GatewayKind {
		g := m.Gateway(to.Ref)
		if got.Outcome == answer.Allowed && got.Connection.Server != "" {
			out.Caller = g.SPIFFEID
		}
		out.Client = append(out.Client, fmt.Sprint("hops ", g.TrustedHops, g.TrustedCIDRs, g.ServerHeader))
		for _, l := range g.Listeners {
			if l.Port == r.Port {
				out.Client = append(out.Client, fmt.Sprint("proxy protocol ", l.ProxyProtocol, l.Bind))
				for _, s := range l.TLS.Settings() {
					out.Client = append(out.Client, "tls "+s.Name+s.Value)
				}
			}
		}
		for _, s := range g.Timeouts.Settings() {
			if s.Value != map[string]string{"requestHeaders": "10s", "idle": "1h0m0s"}[s.Name] {
				out.Client = append(out.Client, s.Name+s.Value)
			}
		}
	}
	return out
}

// beside notes what is done with a request beside sending it on.
func (j *judgement) beside(m *model.Mesh, s *model.Service, got *answer.Answer) {
	for _, set := range got.Route.More {
		if set.Name == "rate limit" { // what it is called is no matter
			_, set.Value, _ = strings.Cut(set.Value, ": ")
		}
		j.More = append(j.More, set.Name+"="+set.Value)
	}
	slices.Sort(j.More)
	add := func(out *[]string, by model.Ref, list []model.Setting) {
		for _, set := range list {
			*out = append(*out, fmt.Sprint(by, " ", set.Name, "=", set.Value))
		}
	}
	for _, a := range got.Asked {
		if by := m.Gateway(a.By); by != nil {
			add(&j.Asked, a.By, by.Authorizer.Settings())
		} else {
			add(&j.Asked, a.By, m.Service(a.By).Authorizer.Settings())
		}
	}
	if g := m.Gateway(got.Caller.Ref); g != nil {
		for i := range g.JWT {
			add(&j.Tokens, g.Ref, named(&g.JWT[i]))
		}
	}
	if s != nil && got.Outcome == answer.Allowed {
		for i := range s.JWT {
			add(&j.Tokens, s.Ref, named(&s.JWT[i]))
		}
	}
}

func named(t *model.JWT) []model.Setting {
	out := t.Settings()
	for i := range out {
		out[i].Name = t.Name + "." + out[i].Name
	}
	return out
}

// destinations notes what answer says of the split, and what it does not say:
// labels, protocol and addresses.
func (j *judgement) destinations(m *model.Mesh, s *model.Service, got *answer.Answer) {
	j.Targets = map[string]string{}
	hashes := false
	for _, d := range got.Route.Split {
		var traffic []string
		for _, t := range d.Traffic {
			usual := map[string]string{"connectTimeout": "5s", "connections.max": "1024", "connections.maxPending": "1024",
				"connections.maxRequests": "1024", "connections.maxRetries": "3", "connections.idle": "1h0m0s"}
			if t.Name != "connections.clients" && usual[t.Name] != t.Value {
				traffic = append(traffic, t.Name+"="+t.Value)
			}
			hashes = hashes || t.Name == "balance.policy" && (t.Value == "ringHash" || t.Value == "maglev")
		}
		headers := effect(d.RequestHeaders, got.Route.RequestHeaders) + " / " + effect(d.ResponseHeaders, got.Route.ResponseHeaders)
		j.Split = append(j.Split, d.Percent+" "+d.Cluster)
		j.Headers = append(j.Headers, d.Cluster+headers)
		j.Targets[d.Cluster] = strings.Join(traffic, ", ")
		part := strings.Split(d.Cluster, "|")
		var port uint16
		fmt.Sscan(part[1], &port)
		if s != nil {
			j.Protocol = s.Port(port).Protocol
			j.Targets[d.Cluster] += fmt.Sprint(s.Version(d.Version).Labels)
		} else if e := m.External(*got.Service); e != nil {
			j.Protocol = e.Port(port).Protocol
			j.Targets[d.Cluster] += fmt.Sprint(e.Endpoints)
		}
	}
	if len(got.Route.Split) == 0 {
		j.Headers = []string{effect(got.Route.ResponseHeaders)}
	}
	slices.Sort(j.Split)
	slices.Sort(j.Headers)
	if hashes {
		j.Hash = got.Route.Hash
	}
}

// effect of changes on a request that has every header of theirs once.
func effect(lists ...[]answer.HeaderChange) string {
	names := map[string][]string{}
	for _, list := range lists {
		for _, c := range list {
			if _, ok := names[c.Name]; !ok {
				names[c.Name] = []string{"(sent)"}
			}
			switch c.Op {
			case "remove":
				names[c.Name] = []string{}
			case "set":
				names[c.Name] = []string{c.Value}
			case "add":
				names[c.Name] = append(names[c.Name], c.Value)
			}
		}
	}
	raw, _ := json.Marshal(names)
	return string(raw)
}

// classesOf says what a change from one judgement to another is, by the rules
// that the documentation gives.
func classesOf(b, a judgement) []behave.Class {
	if b.Outcome != a.Outcome {
		return []behave.Class{outcomeClass(b.Outcome, a.Outcome)}
	}
	var out []behave.Class
	add := func(differs bool, c behave.Class) {
		if differs && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	cluster := func(s string) string { return s[strings.LastIndex(s, " ")+1:] }
	common := slices.ContainsFunc(b.Split, func(x string) bool {
		return slices.ContainsFunc(a.Split, func(y string) bool { return cluster(x) == cluster(y) })
	})
	if differ := !slices.Equal(b.Split, a.Split); common {
		add(differ, behave.Shift)
	} else {
		add(differ, behave.Reroute)
	}
	sent := func(j judgement) string { raw, _ := json.Marshal(j.Sent); return string(raw) }
	add(b.Redirect != a.Redirect || b.Respond != a.Respond || sent(b) != sent(a), behave.Reroute)
	add(!slices.Equal(b.Faults, a.Faults), behave.Fault)
	strength := []string{"disable", "permissive", "strict"}
	add(slices.Index(strength, a.MTLS) < slices.Index(strength, b.MTLS), behave.Weaken)
	add(slices.Index(strength, a.MTLS) > slices.Index(strength, b.MTLS), behave.Harden)
	add(!slices.Equal(b.Pods, a.Pods), behave.Restart)
	add(b.Protocol != a.Protocol, behave.Restart)
	if b.Server != a.Server && b.Server != "" && a.Server != "" {
		add(true, serverClass(b.Server, a.Server))
	}
	return out
}

// serverClass is what it means to take another server for the right one: others, or
// fewer or more trust domains in which it may be.
func serverClass(b, a string) behave.Class {
	was, before, _ := strings.Cut(strings.TrimSuffix(b, ")"), " (or of ")
	is, after, _ := strings.Cut(strings.TrimSuffix(a, ")"), " (or of ")
	had := strings.Split(before, ", ")
	switch {
	case was != is:
		return behave.Restart
	case after == "" || !slices.ContainsFunc(strings.Split(after, ", "), func(d string) bool { return !slices.Contains(had, d) }):
		return behave.Harden
	}
	return behave.Weaken
}

func outcomeClass(b, a string) behave.Class {
	nothing := func(o string) bool { return o == "nothing" || o == "no route" }
	answered := func(o string) bool { return o == "redirected" || o == "answered" }
	switch {
	case nothing(a) && (b == "allowed" || b == "outside-the-mesh" || answered(b)):
		return behave.Blackhole
	case nothing(a) || nothing(b):
		return behave.Reroute
	case b == "unauthenticated" && a != "denied" && a != "refused":
		return behave.Weaken
	case a == "unauthenticated" && b != "denied" && b != "refused":
		return behave.Harden
	case answered(a) || answered(b):
		return behave.Reroute
	case b == "refused":
		return behave.Weaken
	case a == "refused" && (b == "denied" || b == "unauthenticated"):
		return behave.Harden
	case a == "allowed" && b == "denied":
		return behave.Expose
	case a == "refused":
		return behave.Harden
	case a == "denied" && b != "unauthenticated": // who is refused either way loses nothing
		return behave.Narrow
	}
	return behave.Reroute
}
