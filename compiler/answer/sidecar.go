package answer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// throughSidecar follows a request that a service's application sends.
func (a *asking) throughSidecar(from *model.Service) {
	s, e := a.lookup(from.Namespace)
	var target model.Ref
	switch {
	case s != nil:
		target = s.Ref
	case e != nil:
		target = e.Ref
	default:
		a.end(UnknownHost, fmt.Sprintf("nothing in the mesh is called %s on port %d", a.req.Host, a.req.Port))
		return
	}
	a.out.Service = &target
	if !slices.Contains(from.Uses, target) {
		a.end(NotDeclared, fmt.Sprintf("%s does not declare `uses: %q`, so its proxy does not know it", from.Ref, target))
		return
	}
	if e != nil {
		a.external(e)
		return
	}
	a.out.Listener = model.OutboundName(a.req.Port, s.Host)
	var taken *model.Route
	for _, rule := range s.Routes {
		if a.consider(rule, rule.Name) {
			taken = rule
			break
		}
	}
	a.finish(s, a.req.Port, taken)
}

// lookup finds the service or external that answers on the request's host and
// port.
func (a *asking) lookup(namespace string) (*model.Service, *model.External) {
	for _, s := range a.mesh.Services {
		if answersTo(s, a.req.Host, namespace) && s.Port(a.req.Port) != nil {
			return s, nil
		}
	}
	for _, e := range a.mesh.Externals {
		if a.req.Host == e.Host && e.Port(a.req.Port) != nil {
			return nil, e
		}
	}
	return nil, nil
}

func (a *asking) external(e *model.External) {
	a.out.Listener = model.OutboundName(a.req.Port, e.Host)
	a.out.Route = &Taken{
		Name:    e.Name,
		At:      place(e.Origin),
		Split:   []Destination{{Percent: "100", Cluster: model.ClusterName(a.req.Port, "", e.Host), Traffic: settingsOf(e.Traffic.Settings())}},
		Timeout: timeoutText(e.Timeout),
	}
	if e.Announce != "" {
		a.out.Route.More = []Setting{{Name: "proxyProtocol", Value: e.Announce, At: place(e.Origin)}}
	}
	if t := e.TLSOn(a.req.Port); t != nil {
		a.out.Connection = &Connection{TLS: settingsOf(t.Settings())}
	}
	if v := e.Via; v != nil {
		a.out.Connection = &Connection{MTLS: model.MTLSStrict, Server: model.IdentityText(v.SPIFFEID, v.Aliases), TLS: settingsOf(e.TLSOn(a.req.Port).Settings())}
		a.end(OutsideMesh, fmt.Sprintf("it leaves the mesh for %s through the egress gateway %s", e.Host, v.Gateway))
		return
	}
	a.end(OutsideMesh, fmt.Sprintf("it leaves the mesh for %s", e.Host))
}

// consider evaluates one rule and notes what came of it.
func (a *asking) consider(rule *model.Route, name string) bool {
	noted := Rule{Name: name, At: place(rule.Origin)}
	if !slices.Contains(rule.Ports, a.req.Port) {
		noted.Why = fmt.Sprintf("it is on port %s", portsText(rule.Ports))
		a.out.Rules = append(a.out.Rules, noted)
		return false
	}
	if !rule.TakesFrom(a.out.Caller.Ref) {
		noted.Why = "it is for callers " + strings.Join(model.CallerNames(rule.From), ", ")
		a.out.Rules = append(a.out.Rules, noted)
		return false
	}
	a.alternatives(&noted, rule)
	a.out.Rules = append(a.out.Rules, noted)
	return noted.Took
}

func (a *asking) alternatives(noted *Rule, rule *model.Route) {
	noted.Took = len(rule.Match) == 0
	for i := range rule.Match {
		m := &rule.Match[i]
		alt := Alternative{At: place(m.Origin), Holds: Accepts(m, a.req), Conditions: Conditions(m, a.req)}
		noted.Alternatives = append(noted.Alternatives, alt)
		noted.Took = noted.Took || alt.Holds
	}
}

func portsText(ports []uint16) string {
	var out []string
	for _, p := range ports {
		out = append(out, fmt.Sprint(p))
	}
	return strings.Join(out, ", ")
}
