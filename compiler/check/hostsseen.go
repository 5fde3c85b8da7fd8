package check

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// anyHost is the pattern of every host.
const anyHost = "*"

// hostsSeen holds the hosts of rules against those that requests come with.
func (c *overIntent) hostsSeen() {
	led := c.hostsLed()
	for _, g := range c.mesh.Gateways {
		if g.Security == nil {
			continue
		}
		for _, r := range rulesOf(g.Security) {
			c.unseen(r, listened(g, r), "no listener of gateway "+strconv.Quote(g.Name.V)+" that the rule is for takes host %q")
		}
	}
	for _, s := range c.mesh.Services {
		if s.Security == nil {
			continue
		}
		rules := rulesOf(s.Security)
		if len(rules) == 0 || !c.strictEverywhere(s) {
			continue // whoever calls without a proxy writes what it likes
		}
		known := append(ownHosts(s), led[scope.ServiceRef(s)]...)
		for _, r := range rules {
			c.unseen(r, known, "nothing in the mesh sends service "+strconv.Quote(s.Name.V)+" requests for host %q")
		}
	}
}

// rulesOf are the rules that look at hosts.
func rulesOf(sec *intent.Security) []*intent.Rule {
	lists := [...][]*intent.Rule{sec.Allow, sec.Deny, sec.Audit, sec.Public, nil, nil}
	if a := sec.Authorizer; a != nil {
		lists[4], lists[5] = a.On, a.Except
	}
	var out []*intent.Rule
	for _, list := range lists {
		for _, r := range list {
			if len(r.Hosts)+len(r.NotHosts) > 0 {
				out = append(out, r)
			}
		}
	}
	return out
}

// unseen reports the hosts of a rule that are outside of all known ones.
func (c *overIntent) unseen(r *intent.Rule, known []string, format string) {
	for _, h := range slices.Concat(r.Hosts, r.NotHosts) {
		host := strings.ToLower(h.V)
		if slices.ContainsFunc(known, func(k string) bool { return model.HostCovers(k, host) || model.HostCovers(host, k) }) {
			continue
		}
		d := c.report(diag.HostNeverSeen, h.At, format, h.V)
		d.Help = meant(host, known)
	}
}

// listened are the hosts of the listeners of a gateway that a rule is for.
func listened(g *intent.Gateway, r *intent.Rule) []string {
	var out []string
	for _, l := range g.Listeners {
		if r.On(l.Name.V) {
			out = append(out, patternsOr(l.Hosts, anyHost)...)
		}
	}
	return out
}

func patternsOr(hosts []intent.Value[string], none string) []string {
	if len(hosts) == 0 {
		return []string{none}
	}
	var out []string
	for _, h := range hosts {
		out = append(out, strings.ToLower(h.V))
	}
	return out
}

func (c *overIntent) strictEverywhere(s *intent.Service) bool {
	return len(s.Ports) > 0 && !slices.ContainsFunc(s.Ports, func(p *intent.Port) bool {
		return c.scope.ModeOn(s, p.Name.V) != model.MTLSStrict
	})
}

// ownHosts are the names by which callers know a service, short ones too, and
// what its own routes look for or put in their place.
func ownHosts(s *intent.Service) []string {
	host := strings.ToLower(scope.Host(s))
	out := []string{host}
	for i := range host {
		if host[i] == '.' {
			out = append(out, host[:i])
		}
	}
	for _, r := range s.Routes {
		if r.Rewrite != nil && r.Rewrite.Host != nil {
			out = append(out, strings.ToLower(r.Rewrite.Host.V))
		}
		for _, m := range slices.Concat(r.Match, r.Except) {
			if m.Host == nil {
				continue
			}
			if m.Host.Kind.V != string(model.Exact) {
				return []string{anyHost}
			}
			out = append(out, strings.ToLower(m.Host.Value.V))
		}
	}
	return out
}

// hostsLed are the hosts with which gateways and copies lead requests to services.
func (c *overIntent) hostsLed() map[model.Ref][]string {
	out := map[model.Ref][]string{}
	for _, g := range c.mesh.Gateways {
		for _, r := range g.Routes {
			if r.To.V == "" {
				continue
			}
			ref := literal.Ref(r.To.V, scope.GatewayRef(g).Namespace)
			if r.Rewrite != nil && r.Rewrite.Host != nil {
				out[ref] = append(out[ref], strings.ToLower(r.Rewrite.Host.V))
				continue
			}
			if len(r.Hosts) > 0 {
				out[ref] = append(out[ref], patternsOr(r.Hosts, anyHost)...)
				continue
			}
			for _, l := range scope.RouteListeners(g, r) {
				out[ref] = append(out[ref], patternsOr(l.Hosts, anyHost)...)
			}
		}
	}
	for _, s := range c.mesh.Services {
		for _, r := range s.Routes {
			for _, m := range r.Mirror {
				if m.To != nil { // copies keep the host, with a suffix
					out[scope.MirrorRef(s, m)] = []string{anyHost}
				}
			}
		}
	}
	return out
}
