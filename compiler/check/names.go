package check

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// claim is a name and where it is claimed.
type claim struct {
	what string // "service \"a\""
	at   diag.Range
}

// names checks that a namespace/name means one thing, and that no two things
// answer on one host and port.
func (c *overIntent) names() {
	taken := make(map[model.Ref]claim, c.units())
	for _, s := range c.mesh.Services {
		c.claimRef(taken, scope.ServiceRef(s), "service", s.Name.At)
	}
	for _, e := range c.mesh.Externals {
		c.claimRef(taken, scope.ExternalRef(e), "external", e.Name.At)
	}
	for _, g := range c.mesh.Gateways {
		c.claimRef(taken, scope.GatewayRef(g), "gateway", g.Name.At)
	}
	c.hosts()
}

// namesOwn checks that lists hold a name once.
func (c *overIntent) namesOwn() {
	for _, s := range c.in.services {
		c.namesOfService(s)
	}
	for _, e := range c.in.externals {
		once(c, "port", e.Ports, func(p *intent.Port) intent.Value[string] { return p.Name })
	}
	for _, g := range c.in.gateways {
		once(c, "listener", g.Listeners, func(l *intent.GatewayListener) intent.Value[string] { return l.Name })
		once(c, "route", g.Routes, func(r *intent.GatewayRoute) intent.Value[string] { return r.Name })
		once(c, "rate limit", g.RateLimits, func(r *intent.RateLimit) intent.Value[string] { return r.Name })
	}
}

func (c *overIntent) namesOfService(s *intent.Service) {
	once(c, "port", s.Ports, func(p *intent.Port) intent.Value[string] { return p.Name })
	once(c, "version", s.Versions, func(v *intent.Version) intent.Value[string] { return v.Name })
	once(c, "route", s.Routes, func(r *intent.Route) intent.Value[string] { return r.Name })
	once(c, "fault", s.Faults, func(f *intent.Fault) intent.Value[string] { return f.Name })
	once(c, "rate limit", s.RateLimits, func(r *intent.RateLimit) intent.Value[string] { return r.Name })
}

func (c *overIntent) claimRef(taken map[model.Ref]claim, ref model.Ref, kind string, at diag.Range) {
	first, clash := taken[ref]
	if !clash {
		taken[ref] = claim{fmt.Sprintf("%s %q", kind, ref.Name), at}
		return
	}
	d := c.report(diag.NameCollision, at, "%s %q: the name is taken in namespace %q by %s", kind, ref.Name, ref.Namespace, first.what)
	d.Related = []diag.Related{{Range: first.at, Message: "claimed first here"}}
}

// once checks that a list holds a name once.
func once[T any](c *overIntent, kind string, list []T, name func(T) intent.Value[string]) {
	seen := map[string]diag.Range{}
	for _, x := range list {
		n := name(x)
		first, clash := seen[n.V]
		if !clash {
			seen[n.V] = n.At
			continue
		}
		d := c.report(diag.NameCollision, n.At, "%s %q is named twice", kind, n.V)
		d.Related = []diag.Related{{Range: first, Message: "named first here"}}
	}
}

// hosts checks that a host and port lead to one service or external only.
func (c *overIntent) hosts() {
	taken := map[string]claim{}
	for _, s := range c.mesh.Services {
		at := s.Name.At
		if s.Host != nil {
			at = s.Host.At
		}
		c.hostName(s.Host)
		c.claimHost(taken, strings.ToLower(scope.Host(s)), s.Ports, claim{fmt.Sprintf("service %q", scope.ServiceRef(s)), at})
	}
	for _, e := range c.mesh.Externals {
		if strings.HasPrefix(e.Host.V, "*.") {
			c.patternOfHosts(e)
			continue
		}
		c.hostName(&e.Host)
		c.endpoints(e)
		c.claimHost(taken, strings.ToLower(e.Host.V), e.Ports, claim{fmt.Sprintf("external %q", scope.ExternalRef(e)), e.Host.At})
	}
}

// hostName checks a DNS name label by label, which the schema does not.
func (c *overIntent) hostName(host *intent.Value[string]) {
	if host != nil && !isDNSName(strings.ToLower(host.V)) {
		c.report(diag.BadName, host.At, "%q is not a DNS name", host.V)
	}
}

// endpoints of an external are addresses: names are what `host` is for. Each
// holds a port, so they say where one port of the external is and not several.
func (c *overIntent) endpoints(e *intent.External) {
	if len(e.Endpoints) > 0 && len(e.Ports) > 1 {
		c.report(diag.AmbiguousPort, e.Endpoints[0].At, "external %q has several ports, and an endpoint does not say whose it is", e.Name.V).
			Help = "write an external for each port; they may share the host"
	}
	for _, v := range e.Endpoints {
		if at, err := netip.ParseAddrPort(v.V); err != nil || at.Port() == 0 || at.Addr().Zone() != "" {
			c.report(diag.WrongValue, v.At, "external %q: endpoint %q is not \"ip:port\"", e.Name.V, v.V)
		}
	}
}

func (c *overIntent) claimHost(taken map[string]claim, host string, ports []*intent.Port, by claim) {
	for _, p := range ports {
		key := fmt.Sprintf("%s:%d", host, p.Number.V)
		first, clash := taken[key]
		switch {
		case !clash:
			taken[key] = by
		case first.what != by.what: // otherwise the names clash already
			d := c.report(diag.NameCollision, by.at, "%s: %s is taken by %s", by.what, key, first.what)
			d.Related = []diag.Related{{Range: first.at, Message: "claimed first here"}}
			return
		}
	}
}

var (
	accountName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	domainName  = regexp.MustCompile(`^[a-z0-9._-]+$`)
)

// identities checks the parts of SPIFFE IDs (SPIFFE-ID section 2: a trust
// domain is lower-case, a path segment holds letters, digits, ".", "-", "_"
// and is not "." or "..").
func (c *overIntent) identities() {
	if td := c.mesh.Config.TrustDomain; td != nil && (!domainName.MatchString(td.V) || len(td.V) > 255) {
		c.report(diag.BadName, td.At, "%q is not a SPIFFE trust domain", td.V)
	}
	c.aliases()
	for _, s := range c.mesh.Services {
		c.segment(s.Namespace)
		c.segment(s.ServiceAccount)
	}
	for _, g := range c.mesh.Gateways {
		c.segment(g.Namespace)
		c.segment(g.ServiceAccount)
	}
}

func (c *overIntent) segment(v *intent.Value[string]) {
	if v == nil {
		return
	}
	if !accountName.MatchString(v.V) || v.V == "." || v.V == ".." {
		c.report(diag.BadName, v.At, "%q cannot be part of a SPIFFE ID", v.V)
	}
}

// patternOfHosts refuses an external that is many.
func (c *overIntent) patternOfHosts(e *intent.External) {
	d := c.report(diag.ExternalPattern, e.Host.At, "external %q: %q is not one name", e.Name.V, e.Host.V)
	d.Help = "declare each name that is called as an external of its own"
}
