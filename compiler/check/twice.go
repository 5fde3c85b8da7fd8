package check

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/scope"
)

// twice reports entries that a list which is a set holds a second time.
func (c *overIntent) twice() {
	for _, s := range c.in.services {
		for _, r := range s.Routes {
			c.twiceInMatches(r.Match, r.Except)
			c.listedTwice("`before`", r.Before, same)
			c.listedTwice("`after`", r.After, same)
			c.twiceRemoved(r.RequestHeaders, r.ResponseHeaders)
			for _, d := range r.Destinations {
				c.twiceRemoved(d.RequestHeaders, d.ResponseHeaders)
			}
			if p := r.CORS; p != nil {
				c.originTwice(p.Origins)
				c.listedTwice("`methods`", p.Methods, same)
				c.listedTwice("`headers`", p.Headers, strings.ToLower)
				c.listedTwice("`exposeHeaders`", p.ExposeHeaders, strings.ToLower)
			}
			if r.Retries != nil {
				c.listedTwice("`on`", r.Retries.On, same)
				c.listedTwice("`methods`", r.Retries.Methods, same)
			}
		}
		c.twiceInLimits(s.RateLimits)
		c.twiceInRules(s.Security, scope.ServiceRef(s).Namespace)
		c.twiceUsed(s)
	}
	for _, g := range c.in.gateways {
		c.twiceInGateway(g)
	}
	for _, e := range c.in.externals {
		c.listedTwice("`endpoints`", e.Endpoints, same)
		if e.TLS != nil {
			c.listedTwice("`ports`", e.TLS.Ports, same)
			c.listedTwice("`sans`", e.TLS.SANs, strings.ToLower)
		}
	}
	for _, p := range c.mesh.Config.Policies {
		if p.Egress != nil {
			c.listedTwice("`hosts`", p.Egress.Hosts, same)
			c.listedTwice("`networks`", p.Egress.Networks, same)
		}
	}
	c.twiceInExpectations()
}

func (c *overIntent) twiceInGateway(g *intent.Gateway) {
	c.twiceInRules(g.Security, scope.GatewayRef(g).Namespace)
	c.twiceInLimits(g.RateLimits)
	for _, l := range g.Listeners {
		c.listedTwice("`hosts`", l.Hosts, strings.ToLower)
		if l.TLS == nil {
			continue
		}
		for _, cert := range l.TLS.Certificates {
			c.listedTwice("`hosts`", cert.Hosts, strings.ToLower)
		}
	}
	for _, r := range g.Routes {
		c.listedTwice("`hosts`", r.Hosts, strings.ToLower)
		c.listedTwice("`before`", r.Before, same)
		c.listedTwice("`after`", r.After, same)
		c.twiceRemoved(r.RequestHeaders, r.ResponseHeaders)
		c.twiceInMatches(r.Match, r.Except)
	}
}

func (c *overIntent) twiceInLimits(limits []*intent.RateLimit) {
	for _, l := range limits {
		c.listedTwice("`on`", l.On, same)
		c.twiceInMatches(l.Match)
	}
}

func (c *overIntent) twiceRemoved(ops ...*intent.HeaderOps) {
	for _, h := range ops {
		if h != nil {
			c.listedTwice("`remove`", h.Remove, strings.ToLower)
		}
	}
}

func (c *overIntent) twiceInMatches(lists ...[]*intent.Match) {
	for _, m := range slices.Concat(lists...) {
		c.listedTwice("`method`", m.Methods, same)
		c.listedTwice("`notMethod`", m.NotMethods, same)
	}
}

func (c *overIntent) twiceInRules(sec *intent.Security, namespace string) {
	if sec == nil {
		return
	}
	lists := [][]*intent.Rule{sec.Allow, sec.Deny, sec.Audit, sec.Public}
	if a := sec.Authorizer; a != nil {
		lists = append(lists, a.On, a.Except)
	}
	for _, r := range slices.Concat(lists...) {
		for _, l := range []struct {
			name    string
			entries []intent.Value[string]
		}{
			{"namespaces", r.Namespaces}, {"notNamespaces", r.NotNamespaces}, {"ips", r.IPs}, {"notIPs", r.NotIPs},
			{"clientIPs", r.ClientIPs}, {"notClientIPs", r.NotClientIPs},
			{"ports", r.Ports}, {"notPorts", r.NotPorts}, {"methods", r.Methods}, {"notMethods", r.NotMethods},
		} {
			c.listedTwice("`"+l.name+"`", l.entries, same)
		}
		c.listedTwice("`from`", r.From, referring(namespace))
		c.listedTwice("`notFrom`", r.NotFrom, referring(namespace))
		c.listedTwice("`hosts`", r.Hosts, strings.ToLower)
		c.listedTwice("`notHosts`", r.NotHosts, strings.ToLower)
		c.pathTwice("`paths`", r.Paths)
		c.pathTwice("`notPaths`", r.NotPaths)
	}
}

// twiceUsed finds a service or external that is used by two names.
func (c *overIntent) twiceUsed(s *intent.Service) {
	ref := referring(scope.ServiceRef(s).Namespace)
	first := map[string]diag.Range{}
	for _, u := range s.Uses {
		name := ref(u.Ref.V)
		at, again := first[name]
		if !again {
			first[name] = u.Ref.At
			continue
		}
		d := c.report(diag.ListedTwice, u.Ref.At, "%q is %s, which `uses` has already", u.Ref.V, name)
		d.Related = []diag.Related{{Range: at, Message: "listed first here"}}
		d.WithFix("take the second one away", diag.Edit{Op: diag.RemoveField, Range: u.Ref.At})
	}
}

// pathTwice compares what paths say, and not how: a condition has one kind and one
// value.
func (c *overIntent) pathTwice(list string, paths []*intent.PathMatch) {
	var entries []intent.Value[string]
	for _, p := range paths {
		said := p.Kind.V + ": " + p.Value.V
		if scope.Or(p.IgnoreCase, false) {
			said += ", ignoreCase"
		}
		entries = append(entries, intent.Value[string]{V: said, At: p.At})
	}
	c.listedTwice(list, entries, same)
}

func (c *overIntent) originTwice(origins []*intent.NamedMatch) {
	var entries []intent.Value[string]
	for _, o := range origins {
		said := o.Kind.V + ": " + o.Value.V
		if scope.Or(o.Not, false) {
			said = "not " + said
		}
		entries = append(entries, intent.Value[string]{V: said, At: o.At})
	}
	c.listedTwice("`origins`", entries, same)
}

// numerals are numbers as texts.
func numerals(numbers []intent.Value[int]) []intent.Value[string] {
	var out []intent.Value[string]
	for _, n := range numbers {
		out = append(out, intent.Value[string]{V: strconv.Itoa(n.V), At: n.At})
	}
	return out
}

func same(s string) string { return s }

// referring is what a reference that is written in a namespace means.
func referring(namespace string) func(string) string {
	return func(s string) string { return literal.Ref(s, namespace).String() }
}

// listedTwice compares entries by what key makes of them.
func (c *overIntent) listedTwice(list string, entries []intent.Value[string], key func(string) string) {
	first := map[string]diag.Range{}
	for _, e := range entries {
		at, again := first[key(e.V)]
		if !again {
			first[key(e.V)] = e.At
			continue
		}
		d := c.report(diag.ListedTwice, e.At, "%q is listed twice in %s", e.V, list)
		d.Related = []diag.Related{{Range: at, Message: "listed first here"}}
		d.WithFix("take the second one away", diag.Edit{Op: diag.RemoveElement, Range: e.At})
	}
}
