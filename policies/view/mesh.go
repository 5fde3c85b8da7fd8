package view

import (
	"slices"

	"github.com/meshc/meshc/compiler/model"
)

// OfMesh gives the view of a mesh.
func OfMesh(m *model.Mesh) *Mesh {
	out := &Mesh{
		Name: m.Name, TrustDomain: m.TrustDomain, Aliases: m.Aliases,
		Service: map[string]*Service{}, Gateway: map[string]*Gateway{}, External: map[string]*External{},
		Raw: mapped(m.Raw, func(r *model.Raw) string { return r.Name }),
	}
	used, exposed := map[model.Ref][]string{}, map[model.Ref][]string{}
	for _, s := range m.Services {
		for _, ref := range s.Uses {
			used[ref] = append(used[ref], s.Ref.String())
		}
	}
	for _, g := range m.Gateways {
		v := gateway(g)
		out.Gateway[v.Ref] = v
		for _, r := range gatewayRules(g) {
			if by := exposed[r.rule.Service]; !r.rule.Itself() && !slices.Contains(by, v.Ref) {
				exposed[r.rule.Service] = append(by, v.Ref)
			}
		}
	}
	for _, s := range m.Services {
		v := service(m, s)
		v.UsedBy, v.ExposedBy = used[s.Ref], exposed[s.Ref]
		out.Service[v.Ref] = v
	}
	for _, e := range m.Externals {
		v := external(e)
		v.UsedBy = used[e.Ref]
		out.External[v.Ref] = v
	}
	return out
}

func service(m *model.Mesh, s *model.Service) *Service {
	out := &Service{
		Ref: s.Ref.String(), Name: s.Name, Namespace: s.Namespace, Owner: s.Owner, Host: s.Host,
		ServiceAccount: s.ServiceAccount, Identity: s.SPIFFEID, MTLS: string(s.MTLS), Proxy: proxy(s.Envoy),
		Versions: map[string]Version{}, Uses: refs(s.Uses),
		Ports: mapped(s.Ports, func(p *model.Port) Port {
			return Port{p.Name, p.Number, string(p.Protocol), string(s.ModeOn(p.Number))}
		}),
		access: access{
			Allow: mapped(s.Allow, rule), Deny: mapped(s.Deny, rule), Audit: mapped(s.Audit, rule),
			Tokens: mapped(s.JWT, token), Authorizer: authorizer(s.Authorizer), RateLimits: mapped(s.RateLimits, limitName),
		},
	}
	if s.Injection.Off || m.RoleOf(s) == model.RoleGRPC {
		out.Proxy = "none"
	}
	if s.Migration != nil {
		out.MigrationUntil = Moment(s.Migration.Until)
	}
	for _, v := range s.Versions {
		out.Versions[v.Name] = Version{v.Labels}
	}
	for _, r := range s.Routes {
		out.Routes = append(out.Routes, route(r))
	}
	return out
}

func proxy(envoy bool) string {
	if envoy {
		return "envoy"
	}
	return "meshc"
}

func authorizer(a *model.Authorizer) string {
	if a == nil {
		return ""
	}
	return a.Service.String()
}

func limitName(l *model.RateLimit) string { return l.Name }

func token(j *model.JWT) Token { return Token{j.Name, j.Issuer, j.Required} }

func rule(r *model.Rule) Access {
	return Access{
		Anybody: r.Any, Authenticated: r.Authenticated, Identities: r.Principals, NotIdentities: r.NotPrincipals,
		Namespaces: r.Namespaces, NotNamespaces: r.NotNamespaces, IPs: r.IPs, NotIPs: r.NotIPs, ClientIPs: r.ClientIPs, NotClientIPs: r.NotClientIPs,
		Ports: r.Ports, NotPorts: r.NotPorts, Methods: r.Methods, NotMethods: r.NotMethods,
		Paths: texts(r.Paths, model.PathMatch.String), NotPaths: texts(r.NotPaths, model.PathMatch.String),
		Hosts: texts(r.Hosts, model.NamedMatch.String), NotHosts: texts(r.NotHosts, model.NamedMatch.String), Headers: texts(r.Headers, model.NamedMatch.String),
		Claims: texts(r.Claims, model.NamedMatch.String), Derived: r.Origin.IsZero(),
	}
}

// does is what a route does with its requests, and with which status.
func does(r *model.Route) (string, uint32) {
	switch {
	case r.Redirect != nil:
		return "redirect", r.Redirect.Status
	case r.Respond != nil:
		return "respond", r.Respond.Status
	case r.NotFound:
		return "respond", 404
	}
	return "to", 0
}

func route(r *model.Route) Route {
	out := Route{
		Name: r.Name, Ports: r.Ports, From: model.CallerNames(r.From), Match: texts(r.Match, model.Match.String),
		To:      mapped(r.Split, func(s *model.Split) Share { return Share{s.Version, percent(s.BasisPoints)} }),
		Timeout: seconds(r.Timeout), MaxDuration: seconds(r.MaxDuration), IdleTimeout: seconds(r.IdleTimeout),
		Retries: Retries{PerTry: "0"},
		Mirrors: mapped(r.Mirror, func(m *model.Mirror) Mirror { return Mirror{m.Target(), percent(m.BasisPoints)} }), Upgrades: r.Upgrades,
	}
	out.Does, out.Status = does(r)
	if t := r.Retry; t != nil {
		out.Retries = Retries{t.Attempts, t.On, t.Statuses, seconds(t.PerTry)}
	}
	seen := map[string]bool{} // faults of several variants
	for _, v := range r.Variants() {
		for _, f := range v.Faults() {
			if key := f.Name + " " + f.Kind; !seen[key] {
				seen[key] = true
				out.Faults = append(out.Faults, Fault{f.Name, f.Kind, f.What, percent(f.BasisPoints), Moment(f.Until), model.CallerNames(f.From)})
			}
		}
	}
	return out
}

// gatewayRule is a rule of a gateway with where it stands.
type gatewayRule struct {
	port uint16
	host string
	rule *model.GatewayRoute
}

func gatewayRules(g *model.Gateway) []gatewayRule {
	var out []gatewayRule
	for i := range g.Listeners {
		l := &g.Listeners[i]
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				out = append(out, gatewayRule{l.Port, h.Host, r})
			}
		}
	}
	return out
}

func gateway(g *model.Gateway) *Gateway {
	return &Gateway{
		Ref: g.Ref.String(), Name: g.Name, Namespace: g.Namespace, Identity: g.SPIFFEID, Proxy: proxy(g.Envoy), Egress: g.Egress,
		Listeners: mapped(g.Listeners, listener), Routes: mapped(gatewayRules(g), gatewayRoute), AllowOnly: g.AllowOnly,
		access: access{
			Allow: mapped(g.Allow, rule), Deny: mapped(g.Deny, rule), Audit: mapped(g.Audit, rule),
			Tokens: mapped(g.JWT, token), Authorizer: authorizer(g.Authorizer), RateLimits: mapped(g.RateLimits, limitName),
		},
	}
}

func listener(l *model.GatewayListener) Listener {
	out := Listener{Name: l.Name, Port: l.Port, Protocol: string(l.Protocol), Redirects: l.Redirect != nil, Hosts: slices.Clone(l.RedirectHosts)}
	if l.TLS != nil {
		out.TLS, out.MinVersion = string(l.TLS.Mode), string(l.TLS.MinVersion)
	}
	for _, h := range l.Hosts {
		out.Hosts = append(out.Hosts, h.Host)
	}
	return out
}

func gatewayRoute(r *gatewayRule) GatewayRoute {
	out := GatewayRoute{Name: r.rule.Name, Port: r.port, Host: r.host, Timeout: "0"}
	if !r.rule.Itself() {
		out.Service, out.ServicePort = r.rule.Service.String(), r.rule.Port
	}
	if to := r.rule.Route; to != nil {
		out.Match, out.Timeout = texts(to.Match, model.Match.String), seconds(to.Timeout)
		out.Does, out.Status = does(to)
	}
	return out
}

func external(e *model.External) *External {
	out := &External{
		Ref: e.Ref.String(), Name: e.Name, Namespace: e.Namespace, Host: e.Host, Endpoints: e.Endpoints, Timeout: seconds(e.Timeout),
		Ports: mapped(e.Ports, func(p *model.Port) ExternalPort {
			return ExternalPort{p.Name, p.Number, string(p.Protocol), e.TLSOn(p.Number) != nil}
		}),
	}
	if e.Via != nil {
		out.Via = e.Via.Gateway.String()
	}
	if t := e.TLS; t != nil {
		out.TLS = ExternalTLS{Mode: string(t.Mode), MinVersion: t.MinVersion}
		if t.Insecure != nil {
			out.TLS.Insecure, out.TLS.InsecureUntil = t.Insecure.Reason, Moment(t.Insecure.Until)
		}
	}
	return out
}
