package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// allow says who is let in to a service: by explicit rules, or those who declare
// to call it.
func (l *lowering) allow(i int) {
	s, out := l.intent.Services[i], l.mesh.Services[i]
	r := l.rules(scope.ServiceRef(s), portNumbers(s.Ports))
	if s.Security != nil {
		out.Deny = r.lower(s.Security.Deny, true)
		out.Audit = r.lower(s.Security.Audit, true)
		out.JWT, out.Public = r.providers(s.Security.JWT), r.public(s.Security.Public)
		out.Authorizer = r.authorizer(s.Security.Authorizer)
	}
	if s.Security != nil && s.Security.HasAllow {
		r.authenticated = len(plaintextPorts(out)) == 0
		out.Allow = r.lower(s.Security.Allow, false)
	} else {
		out.Allow = derived(out, l.calledBy[out.Ref])
	}
	yielding(out.JWT, out.Authorizer, out.Allow, out.Deny, out.Audit)
}

// callers gives, for each service, the identities that declare to call it: by
// `uses`, by a gateway's route, or by sending it telemetry.
func (l *lowering) callers() map[model.Ref][]string {
	callers := make(map[model.Ref][]string, len(l.mesh.Services))
	for _, s := range l.mesh.Services {
		for _, used := range s.Uses {
			callers[used] = append(callers[used], s.SPIFFEID)
		}
		for _, c := range s.Collectors() {
			callers[c.To] = append(callers[c.To], s.SPIFFEID)
		}
	}
	l.askers(callers)
	l.copiers(callers)
	for _, g := range l.intent.Gateways {
		if g.Security != nil && g.Security.Authorizer != nil {
			to := literal.Ref(g.Security.Authorizer.Service.V, scope.GatewayRef(g).Namespace)
			callers[to] = append(callers[to], l.scope.GatewayID(g))
		}
		ref := scope.GatewayRef(g)
		own := model.Gateway{AccessLog: l.accessLog(g.Telemetry, ref), Tracing: l.tracing(g.Telemetry, ref)}
		for _, c := range own.Collectors() {
			callers[c.To] = append(callers[c.To], l.scope.GatewayID(g))
		}
		for _, r := range g.Routes {
			if r.Answers() {
				continue
			}
			to := literal.Ref(r.To.V, scope.GatewayRef(g).Namespace)
			callers[to] = append(callers[to], l.scope.GatewayID(g))
		}
	}
	return callers
}

// askers call the rate limit service without saying `uses`.
func (l *lowering) askers(callers map[model.Ref][]string) {
	for _, s := range l.mesh.Services {
		if asked := model.LimitServer(s.RateLimits); asked != nil {
			callers[asked.Service] = append(callers[asked.Service], s.SPIFFEID)
		}
	}
	for _, g := range l.intent.Gateways {
		if slices.ContainsFunc(g.RateLimits, func(r *intent.RateLimit) bool { return r.Global != nil }) {
			asked := l.rateLimitService().Service
			callers[asked] = append(callers[asked], l.scope.GatewayID(g))
		}
	}
}

// derived lets declared callers in. Where plaintext is accepted everybody is,
// because a plaintext caller carries no identity to judge.
func derived(s *model.Service, ids []string) []model.Rule {
	var out []model.Rule
	if len(ids) > 0 {
		out = append(out, model.Rule{Principals: sortedSet(ids), Aliases: s.Aliases})
	}
	if plain := plaintextPorts(s); len(plain) == len(s.Ports) && s.MTLS != model.MTLSStrict {
		out = append(out, model.Rule{Any: true})
	} else if len(plain) > 0 {
		out = append(out, model.Rule{Any: true, Ports: plain})
	}
	return out
}

// plaintextPorts are those that accept callers without identity.
func plaintextPorts(s *model.Service) []uint16 {
	var out []uint16
	for _, p := range s.Ports {
		if s.ModeOn(p.Number) != model.MTLSStrict {
			out = append(out, p.Number)
		}
	}
	return out
}

func sortedSet(ids []string) []string {
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out)
}
