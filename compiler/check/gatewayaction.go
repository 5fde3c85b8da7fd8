package check

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/scope"
)

// gatewayAction checks what a gateway's route does: one of to, redirect and
// respond, and beside it only what has an effect.
func (c *overIntent) gatewayAction(g *intent.Gateway, r *intent.GatewayRoute) {
	does := 0
	for _, written := range []bool{r.To.V != "", r.Redirect != nil, r.Respond != nil} {
		if written {
			does++
		}
	}
	own := r.Action()
	switch {
	case does == 0:
		c.report(diag.RouteToNothing, r.Name.At, "gateway route %q sends its requests nowhere", r.Name.V).Help = "write `to`, `redirect` or `respond`"
		return
	case does > 1:
		d := c.report(diag.NotExactlyOne, r.Name.At, "gateway route %q has more than one of `to`, `redirect` and `respond`", r.Name.V)
		d.Help = "write one of them"
		relateArms(d, actions(r.To.At, r.Redirect, r.Respond)...)
		return
	case r.Answers():
		c.withoutDestination(own)
		if r.Port != nil {
			c.report(diag.NoEffectOnAnswer, r.Port.At, "route %q answers by itself: `port` does nothing", r.Name.V).Help = "take it away"
		}
	default:
		c.backend(g, r)
	}
	c.redirect(own)
	c.respond(own)
	c.rewrite(own)
	c.headerOps(r.RequestHeaders)
	c.headerOps(r.ResponseHeaders)
}

// gatewayChanges reports what a gateway changes of requests and a route of the
// service is about: the gateway's proxy decides by the request as it came.
func (c *overIntent) gatewayChanges(s *intent.Service, g *intent.GatewayRoute) {
	port := scope.BackendPort(s, g)
	changes := changesOf(g)
	for _, r := range s.Routes {
		if r.Port != nil && r.Port.V != port.Name.V {
			continue
		}
		about := aboutOf(r, faultMatches(s, r))
		for _, what := range changes {
			if at, ok := about[what.name]; ok {
				d := c.report(diag.GatewayChangesMatch, what.at, "gateway route %q changes %s, and route %q of service %q goes by it", g.Name.V, what.name, r.Name.V, s.Name.V)
				d.Related = []diag.Related{{Range: at, Message: "the proxy of the gateway sees here what the client sent"}}
				d.Help = "match in the gateway's route, or change it in the route of the service"
				return
			}
		}
	}
}

// partOf is a part of a request, and where something is said of it.
type partOf struct {
	name string
	at   diag.Range
}

func changesOf(g *intent.GatewayRoute) []partOf {
	var out []partOf
	if w := g.Rewrite; w != nil {
		if w.Host != nil {
			out = append(out, partOf{"the host", w.Host.At})
		}
		if w.Path != nil || w.Prefix != nil || w.Regex != nil {
			out = append(out, partOf{"the path", w.At})
		}
	}
	for _, name := range changedHeaders(g.RequestHeaders) {
		out = append(out, partOf{"header " + strings.ToLower(name.V), name.At})
	}
	return out
}

func changedHeaders(h *intent.HeaderOps) []intent.Value[string] {
	if h == nil {
		return nil
	}
	out := append([]intent.Value[string]{}, h.Remove...)
	for _, list := range [][]*intent.KV{h.Set, h.Add} {
		for _, kv := range list {
			out = append(out, kv.Key)
		}
	}
	return out
}

// faultMatches are what the faults of a route match on.
func faultMatches(s *intent.Service, r *intent.Route) []*intent.Match {
	var out []*intent.Match
	for _, f := range s.Faults {
		if f.On.V == r.Name.V {
			out = append(out, f.Match...)
		}
	}
	return out
}

// aboutOf is what a route, with its faults, matches on, rewrites or keeps of a
// request.
func aboutOf(r *intent.Route, faults []*intent.Match) map[string]diag.Range {
	out := map[string]diag.Range{}
	for _, m := range slices.Concat(r.Match, r.Except, faults) {
		if m.Path != nil {
			out["the path"] = m.Path.At
		}
		if m.GRPC != nil {
			out["the path"] = m.GRPC.At
		}
		if m.Host != nil {
			out["the host"] = m.Host.At
		}
		for _, h := range m.Headers {
			out["header "+strings.ToLower(h.Name.V)] = h.At
		}
		if len(m.Cookies) > 0 {
			out["header cookie"] = m.Cookies[0].At
		}
	}
	if w := r.Rewrite; w != nil {
		if w.Host != nil {
			out["the host"] = w.Host.At
		}
		if w.Path != nil || w.Prefix != nil || w.Regex != nil {
			out["the path"] = w.At
		}
	}
	if w := r.Redirect; w != nil {
		if w.Host == nil {
			out["the host"] = w.At
		}
		if w.Path == nil {
			out["the path"] = w.At
		}
	}
	return out
}
