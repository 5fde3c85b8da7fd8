package check

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (t *traffic) health(h *intent.Health, owner string) {
	if h == nil {
		return
	}
	if howMany(h.HTTP != nil, h.TCP != nil, h.GRPC != nil) != 1 {
		t.report(diag.NotExactlyOne, h.At, "%s: a health check asks by exactly one of http, tcp and grpc", owner)
	}
	interval, ok := t.positive(&h.Interval, owner+": health is asked after an interval")
	timeout, okTimeout := t.positive(&h.Timeout, owner+": an answer takes some time")
	if ok && okTimeout && timeout > interval {
		t.report(diag.HealthTimes, h.Timeout.At, "%s: an answer may take %s, and the next question comes after %s", owner, timeout, interval).
			Help = "lower `timeout` or raise `interval`"
	}
	if h.HTTP != nil {
		t.listedTwice("`statuses`", numerals(h.HTTP.Statuses), same)
	}
	if h.HTTP != nil && !requestTarget(h.HTTP.Path.V) {
		t.report(diag.BadPath, h.HTTP.Path.At, "%s: %q is not a path to ask for", owner, h.HTTP.Path.V).
			Help = "a path begins with \"/\", and holds visible ASCII characters without a fragment"
	}
}

// howMany of them hold.
func howMany(all ...bool) int {
	n := 0
	for _, is := range all {
		if is {
			n++
		}
	}
	return n
}

// requestTarget says whether a request line can carry path (RFC 9112 section
// 3.2.1: absolute-path, perhaps with a query).
func requestTarget(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' })
}

// healthPort holds a port by name against each service that the block is for.
func (t *traffic) healthPort(port *intent.Value[string], m meeting) {
	switch {
	case m.external:
		t.once(diag.UnknownPort, port.At, "%s: an external is asked where it is called, not on another port", m.what).
			help("leave `port` out")
	case scope.Port(m.ports, port.V) == nil:
		t.once(diag.UnknownPort, port.At, "%s has no port %q to ask for its health", m.what, port.V)
	}
}

// healthDenied finds health checks that the server's allow list refuses: every
// endpoint would seem unwell.
func (c *overModel) healthDenied() {
	for _, s := range c.mesh.Services {
		for i := range s.Versions {
			if h := s.HealthOf(s.Versions[i].Name); h != nil && (h.HTTP != nil || h.GRPC != nil) {
				c.healthDeniedTo(s, h, c.callersOf(s.Ref))
			}
		}
	}
}

// caller is who may ask a service for its health.
type caller struct{ what, id string }

// callers gives who calls each service: services by `uses`, and gateways.
func (c *overModel) callers() map[model.Ref][]caller {
	out := map[model.Ref][]caller{}
	for _, s := range c.mesh.Services {
		for _, used := range s.Uses {
			out[used] = append(out[used], caller{"service " + s.Ref.String(), s.SPIFFEID})
		}
		for _, m := range c.mesh.CopiesOf(s) {
			if !slices.Contains(s.Uses, m.Service) {
				out[m.Service] = append(out[m.Service], caller{"service " + s.Ref.String(), s.SPIFFEID})
			}
		}
		if asked := model.LimitServer(s.RateLimits); asked != nil {
			out[asked.Service] = append(out[asked.Service], caller{"service " + s.Ref.String(), s.SPIFFEID})
		}
	}
	for _, g := range c.mesh.Gateways {
		done := map[model.Ref]bool{}
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				for _, r := range h.Routes {
					if !done[r.Service] && !r.Itself() {
						done[r.Service] = true
						out[r.Service] = append(out[r.Service], caller{"gateway " + g.Ref.String(), g.SPIFFEID})
					}
				}
			}
		}
	}
	return out
}

// healthDeniedTo reports a service once, with the first caller that is refused.
func (c *overModel) healthDeniedTo(s *model.Service, h *model.Health, callers []caller) {
	for _, by := range callers {
		for _, p := range s.Ports {
			id := by.id
			if h.Port != 0 && h.Port != p.Number || c.has(diag.HealthDenied, h.Origin) {
				continue
			}
			if s.ModeOn(p.Number) == model.MTLSDisable {
				id = ""
			}
			asked := question(h)
			verdict := answer.Authorize(c.mesh.TrustDomain, s, id, asked, p.Number)
			if verdict.Allowed {
				continue
			}
			d := c.report(diag.HealthDenied, h.Origin, "the health check of service %q by %s is refused by the service itself: %s", s.Name, by.what, verdict.Rule)
			d.Witness = asked.Method + " http://" + asked.Host + asked.Target
			d.Help = "allow " + asked.Method + " " + asked.Target + " from every caller"
		}
	}
}

// question is the request that asks.
func question(h *model.Health) *answer.Request {
	if h.GRPC != nil {
		return &answer.Request{Method: "POST", Host: h.GRPC.Authority, Target: "/grpc.health.v1.Health/Check"}
	}
	return &answer.Request{Method: "GET", Host: h.HTTP.Host, Target: h.HTTP.Path}
}

func (c *overModel) has(code diag.Code, at diag.Range) bool {
	for _, d := range c.diags {
		if d.Code == code && d.Range == at {
			return true
		}
	}
	return false
}
