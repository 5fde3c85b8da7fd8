package check

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (c *overIntent) mirrors(s *intent.Service, r *intent.Route) {
	if r.Mirror != nil && len(r.Mirror) == 0 {
		c.report(diag.WrongValue, r.Name.At, "route %q: `mirror` is an empty list", r.Name.V).Help = "leave it out"
	}
	weights := map[string]uint32{}
	for _, w := range r.To {
		weights[w.Version.V], _ = literal.Percent(w.Percent.V) // reported by destinations
	}
	seen := map[string]bool{}
	for _, m := range r.Mirror {
		if !c.copyShare(r, m) || !c.copyTarget(s, r, m) {
			continue
		}
		if m.To == nil {
			c.ownCopies(r, m, weights[m.Version.V])
		}
		target := model.Mirror{Service: scope.MirrorRef(s, m), Version: scope.Or(m.Version, "")}
		if to := c.scope.Service(target.Service); to != nil {
			target.Version = scope.MirrorVersion(to, m)
		}
		if key := target.Target(); seen[key] {
			c.report(diag.BadMirror, copyPlace(m), "route %q copies to %s twice", r.Name.V, copyName(m))
		} else {
			seen[key] = true
		}
	}
}

// copyPlace is where a mirror says whom copies are for.
func copyPlace(m *intent.Mirror) diag.Range {
	switch {
	case m.Version != nil:
		return m.Version.At
	case m.To != nil:
		return m.To.At
	}
	return m.At
}

func copyName(m *intent.Mirror) string {
	if m.To != nil {
		return fmt.Sprintf("service %q", m.To.V)
	}
	return fmt.Sprintf("version %q", m.Version.V)
}

// copyShare says that the share of a mirror can be read and is one.
func (c *overIntent) copyShare(r *intent.Route, m *intent.Mirror) bool {
	copies, err := literal.Percent(m.Percent.V)
	switch {
	case err != nil:
		c.report(diag.BadWeight, m.Percent.At, "route %q: percentage %s of the copies %s", r.Name.V, m.Percent.V, err).
			Help = "a percentage is above 0 up to 100 with at most two decimals"
	case copies == 0:
		c.report(diag.BadMirror, m.Percent.At, "route %q copies 0 percent of its requests", r.Name.V).Help = "take the mirror away"
	}
	return err == nil && copies > 0
}

// copyTarget says that there is something to copy to.
func (c *overIntent) copyTarget(s *intent.Service, r *intent.Route, m *intent.Mirror) bool {
	if m.To == nil {
		return c.copyVersion(s, r, m)
	}
	ref := scope.MirrorRef(s, m)
	to := c.scope.Service(ref)
	switch {
	case to == s:
		c.report(diag.BadMirrorTarget, m.To.At, "route %q copies to its own service", r.Name.V).Help = "leave `to` out, and write `version`"
		return false
	case to == nil && c.scope.External(ref) != nil:
		c.report(diag.BadMirrorTarget, m.To.At, "route %q copies to external %q, outside the mesh", r.Name.V, m.To.V).Help = "copy to a service"
		return false
	case to == nil:
		var known []string
		for _, other := range c.mesh.Services {
			if other != s {
				known = append(known, written(scope.ServiceRef(other), scope.ServiceRef(s).Namespace))
			}
		}
		meantText(c.report(diag.BadMirrorTarget, m.To.At, "route %q copies to service %q, which does not exist", r.Name.V, m.To.V), *m.To, known, nil)
		return false
	}
	return c.copyPort(s, r, m, to) && c.copyVersion(to, r, m)
}

// copyPort wants one port of to for the copies, of every protocol that the route
// is for.
func (c *overIntent) copyPort(s *intent.Service, r *intent.Route, m *intent.Mirror, to *intent.Service) bool {
	at := m.To.At
	if m.Port != nil {
		at = m.Port.At
		if scope.Port(to.Ports, m.Port.V) == nil {
			var known []string
			for _, p := range to.Ports {
				known = append(known, p.Name.V)
			}
			meantText(c.report(diag.UnknownPort, at, "route %q copies to port %q, which service %q does not have", r.Name.V, m.Port.V, to.Name.V), *m.Port, known, nil)
			return false
		}
	}
	protocol := ""
	for _, p := range scope.RoutePorts(s, r) {
		if protocol != "" && p.Protocol.V != protocol {
			d := c.report(diag.BadMirrorTarget, m.To.At, "route %q is for ports of %s and of %s, and copies go to one port", r.Name.V, protocol, p.Protocol.V)
			d.Help = "write `port` at the route, and a route for each"
			return false
		}
		if protocol = p.Protocol.V; scope.MirrorPort(to, m, protocol) == nil {
			d := c.report(diag.BadMirrorTarget, at, "route %q is for port %q, of %s, and service %q has not one such port for the copies", r.Name.V, p.Name.V, protocol, to.Name.V)
			d.Help = "name in `port` one of " + protocol
			d.Related = []diag.Related{{Range: p.Protocol.At, Message: "the port"}}
			return false
		}
	}
	return protocol != "" // a route for no port is reported by itself
}

// copyVersion wants one version of to for the copies.
func (c *overIntent) copyVersion(to *intent.Service, r *intent.Route, m *intent.Mirror) bool {
	var known []string
	for _, v := range to.Versions {
		known = append(known, v.Name.V)
	}
	switch {
	case m.To == nil && m.Port != nil:
		c.report(diag.BadMirrorTarget, m.Port.At, "route %q: `port` goes with `to`; copies for the service itself stay on the port of the request", r.Name.V).Help = "leave it out"
	case m.Version == nil && m.To == nil:
		c.report(diag.BadMirrorTarget, m.At, "route %q: a mirror without `to` and `version` copies to nobody", r.Name.V).Help = "write `version`, or `to` with the name of a service"
	case m.Version == nil && len(known) != 1:
		c.report(diag.BadMirrorTarget, m.To.At, "route %q copies to service %q, which has %d versions", r.Name.V, m.To.V, len(known)).Help = "name one in `version`"
	case m.Version != nil && !slices.Contains(known, m.Version.V):
		d := c.report(diag.UnknownVersion, m.Version.At, "route %q copies to version %q, which service %q does not have", r.Name.V, m.Version.V, to.Name.V)
		meantLabel(d, *m.Version, known, false)
	default:
		return true
	}
	return false
}

// ownCopies judges copies for a version of the route's own service, which gets
// the share own of the requests.
func (c *overIntent) ownCopies(r *intent.Route, m *intent.Mirror, own uint32) {
	copies, _ := literal.Percent(m.Percent.V) // was read
	switch {
	case own == model.BasisPointsWhole:
		c.report(diag.BadMirror, m.Version.At, "route %q sends every request to version %q anyway", r.Name.V, m.Version.V).Help = "copy to another version"
	case own > 0 && copies > own:
		times := model.Hundredths((own + copies) * 100 / own)
		c.report(diag.MirrorLoad, m.Percent.At, "route %q: version %q gets %s %% of the requests and copies of %s %%: %s times its load",
			r.Name.V, m.Version.V, literal.FormatPercent(own), literal.FormatPercent(copies), times).
			Help = "copy at most " + literal.FormatPercent(own) + " percent, or to a version that `to` does not send to"
	}
}
