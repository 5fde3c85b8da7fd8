package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// uselessRetries finds retries that no request of their route gets, and
// tries whose end is not tried again.
func (c *overModel) uselessRetries() {
	for _, s := range c.in.services {
		for _, r := range s.Routes {
			re := r.Retry
			if re == nil || re.Origin.IsZero() || re.Attempts == 0 {
				continue
			}
			if len(r.Match) > 0 && !slices.ContainsFunc(r.Match, func(m model.Match) bool { return takesMethod(m, re.Methods) }) {
				c.report(diag.RetriesNever, re.Origin, "route %q takes none of the methods that its retries are for: %s", r.Name, strings.Join(re.Methods, ", ")).
					Help = "write `methods` in `retries`, if these requests may be carried out twice; or leave `retries` out"
				continue
			}
			if re.PerTry > 0 && !retriesResets(re) {
				c.report(diag.PerTryNotRetried, re.Origin, "route %q: a try that takes longer than %s ends the request, because nothing in `on` tries it again", r.Name, re.PerTry).
					Help = "add \"reset\", \"gateway-error\" or \"5xx\" to `on`; or let `timeout` say how long a request may take"
			}
		}
	}
}

// takesMethod says that a match takes requests of one of the methods; of none
// means of every method.
func takesMethod(m model.Match, methods []string) bool {
	if len(methods) == 0 {
		return true
	}
	return slices.ContainsFunc(methods, func(method string) bool {
		if len(m.Methods) > 0 {
			return slices.Contains(m.Methods, method)
		}
		return !slices.Contains(m.NotMethods, method)
	})
}

// retriesResets says that a try without an answer is tried again: a try that
// perTry ends is one (Envoy's RetryStateImpl::wouldRetryFromReset).
func retriesResets(r *model.Retry) bool {
	return slices.ContainsFunc(r.On, func(on string) bool { return on == "reset" || on == "5xx" || on == "gateway-error" })
}

// nobodyCalls remarks services and externals about which something is said that
// only callers act on, and that no proxy of the mesh calls. A mesh without a
// gateway's route does not say where its requests come from.
func (c *overModel) nobodyCalls() {
	g := c.graph()
	collects := map[model.Ref]bool{}
	for _, s := range c.mesh.Services {
		for _, to := range s.Collectors() {
			collects[to.To] = true
		}
	}
	for _, gw := range c.mesh.Gateways {
		for _, to := range gw.Collectors() {
			collects[to.To] = true
		}
	}
	entered := slices.ContainsFunc(c.mesh.Gateways, func(gw *model.Gateway) bool { return len(backends(gw)) > 0 })
	for i := range g.nodes {
		n := &g.nodes[i]
		switch {
		case len(n.callers) > 0 || collects[n.ref]:
		case n.external != nil:
			c.report(diag.NobodyCalls, n.external.Origin, "no service uses %s, so no proxy knows it", n.what)
		case entered && n.service != nil && saysToCallers(n.service):
			c.report(diag.NobodyCalls, n.service.Origin, "no service uses %s and no gateway leads to it, so nobody acts on its routes and `traffic`", n.what)
		}
	}
}

// saysToCallers says that a service writes what its callers' proxies act on.
func saysToCallers(s *model.Service) bool {
	return slices.ContainsFunc(s.Routes, func(r *model.Route) bool { return !r.Origin.IsZero() }) ||
		slices.ContainsFunc(s.Versions, func(v model.Version) bool { return v.Traffic != nil })
}

// versions finds versions that cannot be told apart, and what is said about
// versions that get no requests.
func (c *overModel) versions() {
	for _, s := range c.in.services {
		for i, v := range s.Versions {
			for _, o := range s.Versions[:i] {
				if c.sharedLabels(s, o, v) {
					break
				}
			}
		}
	}
}

// sharedLabels reports two versions of which one's labels are all among the other's:
// each workload of that one is of both, and is taken for neither.
func (c *overModel) sharedLabels(s *model.Service, one, other model.Version) bool {
	if maps.Equal(one.Labels, other.Labels) {
		if other.Origin.Compare(one.Origin) < 0 {
			one, other = other, one
		}
		d := c.report(diag.VersionsShareLabels, other.Origin, "versions %q and %q of service %q have the same labels, so they select the same workloads", one.Name, other.Name, s.Name)
		d.Related = []diag.Related{{Range: one.Origin, Message: "the other one"}}
		return true
	}
	wide, narrow := one, other
	if !among(wide.Labels, narrow.Labels) {
		wide, narrow = narrow, wide
	}
	if !among(wide.Labels, narrow.Labels) {
		return false
	}
	d := c.report(diag.VersionsShareLabels, narrow.Origin, "version %q of service %q has all labels of version %q, so each of its workloads is of both, and is taken for neither", narrow.Name, s.Name, wide.Name)
	d.Related = []diag.Related{{Range: wide.Origin, Message: "the other one"}}
	d.Help = "give each version a label that tells it from the others"
	return true
}

func among(some, others map[string]string) bool {
	for name, v := range some {
		if got, found := others[name]; !found || got != v {
			return false
		}
	}
	return true
}

// ignored finds what is written where nothing comes by.
func (c *overIntent) ignored() {
	if c.diags.HasErrors() {
		return // names and hosts would be judged by what is refused
	}
	for _, s := range c.in.services {
		for _, v := range s.Versions {
			if v.Traffic != nil && len(s.Routes) > 0 && !getsRequests(s, v) {
				c.report(diag.VersionUnused, v.Traffic.At, "no route of service %q sends to version %q, so nobody acts on its `traffic`", s.Name.V, v.Name.V)
			}
		}
		for _, r := range s.Routes {
			c.unsentDestinations(r)
		}
		c.retryLimits(s)
	}
	for _, g := range c.in.gateways {
		for _, l := range g.Listeners {
			c.unusedHosts(g, l)
		}
	}
}

func getsRequests(s *intent.Service, v *intent.Version) bool {
	return slices.ContainsFunc(s.Routes, func(r *intent.Route) bool { return sendsTo(r, v.Name.V) })
}

// sendsTo says that a route has a weight above 0 for a version.
func sendsTo(r *intent.Route, version string) bool {
	return slices.ContainsFunc(r.To, func(w *intent.Weight) bool {
		return w.Version.V == version && strings.Trim(w.Percent.V, "0.") != ""
	})
}

// unsentDestinations finds destinations of versions that their route names with
// weight 0; those that it does not name are refused elsewhere.
func (c *overIntent) unsentDestinations(r *intent.Route) {
	for _, d := range r.Destinations {
		if !sendsTo(r, d.Version.V) {
			c.report(diag.VersionUnused, d.Version.At, "route %q sends nothing to version %q, so what `destinations` says of it does nothing", r.Name.V, d.Version.V).
				Help = "give it a weight, or leave it out until it has one"
		}
	}
}

// retryLimits finds limits of retries of a service that none of its routes
// retries for.
func (c *overIntent) retryLimits(s *intent.Service) {
	if len(s.Routes) == 0 || slices.ContainsFunc(s.Routes, func(r *intent.Route) bool {
		return r.Redirect == nil && r.Respond == nil && (r.Retries == nil || r.Retries.Attempts.V > 0)
	}) {
		return
	}
	blocks := []*intent.Traffic{s.Traffic}
	for _, v := range s.Versions {
		blocks = append(blocks, v.Traffic)
	}
	for _, b := range blocks {
		if b == nil {
			continue
		}
		if b.RetryBudget != nil {
			c.report(diag.LimitNever, b.RetryBudget.At, "no route of service %q tries anything again, so there is nothing for a budget to limit", s.Name.V)
		}
		if b.Connections != nil && b.Connections.MaxRetries != nil {
			c.report(diag.LimitNever, b.Connections.MaxRetries.At, "no route of service %q tries anything again, so there is nothing for maxRetries to limit", s.Name.V)
		}
	}
}

// requestLimit finds a limit of requests that HTTP/1.1 never reaches, because
// every request has a connection of its own.
func (t *traffic) requestLimit(b *intent.Traffic, m meeting) {
	if b.Connections == nil || b.Connections.MaxRequests == nil || len(m.ports) == 0 ||
		slices.ContainsFunc(m.ports, func(p *intent.Port) bool { return p.Protocol.V != string(model.HTTP) }) {
		return
	}
	limit, clients := b.Connections, 1
	if limit.Clients != nil {
		clients = limit.Clients.V
	}
	connections := model.DefaultMaxConnections
	if limit.Max != nil {
		connections = limit.Max.V / clients
	}
	if requests := limit.MaxRequests.V / clients; requests > connections {
		t.once(diag.RequestLimitNever, limit.MaxRequests.At, "%s speaks HTTP/1.1, where each of at most %d connections carries one request at a time: a limit of %d requests is never reached",
			m.what, connections, requests).help(fmt.Sprintf("lower maxRequests below %d, or leave it out", connections))
	}
}

// unusedHosts finds hosts of a listener that no route of the gateway answers
// for, beside hosts that some do.
func (c *overIntent) unusedHosts(g *intent.Gateway, l *intent.GatewayListener) {
	var hosts []string
	for _, r := range g.Routes {
		if !slices.Contains(scope.RouteListeners(g, r), l) {
			continue
		}
		if len(r.Hosts) == 0 {
			return
		}
		for _, h := range r.Hosts {
			hosts = append(hosts, strings.ToLower(h.V))
		}
	}
	if len(hosts) == 0 {
		return
	}
	for _, p := range l.Hosts {
		pattern := strings.ToLower(p.V)
		if !slices.ContainsFunc(hosts, func(h string) bool { return model.HostCovers(pattern, h) || model.HostCovers(h, pattern) }) {
			c.report(diag.HostUnused, p.At, "no route of gateway %q is for host %q of listener %q: its requests get 404", g.Name.V, p.V, l.Name.V).
				Help = "write a route for it, or take the host away"
		}
	}
}
