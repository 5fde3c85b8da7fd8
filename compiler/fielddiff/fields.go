// Package fielddiff compares two models field by field: two meshes go in, the
// changed fields come out, each with the lines that say so. It speaks of what
// is written, not of what requests experience.
package fielddiff

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// field is one fact of a model, flat.
type field struct {
	object string // "service shop/reviews"
	path   string // "routes[rest].timeout"
	value  string
	at     diag.Range
}

// flat collects the fields of one mesh.
type flat struct {
	fields []field
	object string
	at     diag.Range // of the object, for fields without a place of their own
}

// add notes a fact; an empty value is no fact.
func (f *flat) add(path, value string, at diag.Range) {
	if value == "" {
		return
	}
	if at.IsZero() {
		at = f.at
	}
	f.fields = append(f.fields, field{f.object, path, value, at})
}

func (f *flat) begin(object string, at diag.Range) { f.object, f.at = object, at }

// fields gives every fact of m.
func fields(m *model.Mesh) []field {
	f := &flat{}
	f.begin("mesh", diag.Range{})
	f.add("name", m.Name, diag.Range{})
	f.add("trustDomain", m.TrustDomain, diag.Range{})
	f.add("trustDomainAliases", strings.Join(m.Aliases, ", "), diag.Range{})
	for i := range m.Raw {
		f.raw(&m.Raw[i])
	}
	for _, s := range m.Services {
		f.service(s)
	}
	for _, g := range m.Gateways {
		f.gateway(g)
	}
	for _, e := range m.Externals {
		f.external(e)
	}
	return f.fields
}

func (f *flat) service(s *model.Service) {
	f.begin("service "+s.Ref.String(), s.Origin)
	f.add("owner", s.Owner, s.Origin)
	f.add("host", s.Host, s.Origin)
	f.add("serviceAccount", s.ServiceAccount, s.Origin)
	f.add("spiffeID", s.SPIFFEID, s.Origin)
	f.add("mtls", string(s.MTLS), s.Origin)
	if m := s.Migration; m != nil {
		f.add("migration.until", m.Until.Format(time.RFC3339), m.Origin)
	}
	f.accessLog(s.AccessLog)
	f.settings("metrics", s.Metrics.Settings(), s.Origin)
	f.settings("tracing", s.Tracing.Settings(), s.Origin)
	f.settings("workload", s.Injection.Settings(), s.Injection.Origin)
	f.proxy(s.Envoy)
	f.ports(s.Ports)
	for _, v := range s.Versions {
		f.add(at("versions", v.Name), labelsText(v.Labels), v.Origin)
		f.settings(at("versions", v.Name)+".traffic", v.Traffic.Settings(), v.Origin)
	}
	for _, u := range s.Uses {
		f.add(at("uses", u.String()), "declared", s.Origin)
	}
	var names []string
	for _, r := range s.Routes {
		names = append(names, r.Name)
		f.route(at("routes", r.Name), r)
	}
	f.add("routes", strings.Join(names, ", "), s.Origin)
	f.rules("allow", s.Allow)
	f.rules("deny", s.Deny)
	f.rules("audit", s.Audit)
	f.tokens(s.JWT, s.Public)
	f.settings("rateLimits", model.LimitSettings(s.RateLimits), s.Origin)
	f.settings("", slices.Concat(s.Compression.Settings(), s.Buffer.Settings(), s.Admission.Settings()), f.at)
	f.authorizer(s.Authorizer)
}

// proxy notes the kind that is not the default.
func (f *flat) proxy(envoy bool) {
	if envoy {
		f.add("proxy", "envoy", f.at)
	}
}

func (f *flat) ports(ports []model.Port) {
	for _, p := range ports {
		f.add(at("ports", p.Name), fmt.Sprintf("%d %s", p.Number, p.Protocol), p.Origin)
		f.add(at("ports", p.Name)+".mtls", string(p.MTLS), p.Origin)
		f.connections(at("ports", p.Name), p.MaxConnections, p.Origin)
	}
}

// connections are those that a proxy takes at once; 0 is no limit.
func (f *flat) connections(path string, most uint32, origin diag.Range) {
	if most > 0 {
		f.add(path+".maxConnections", fmt.Sprint(most), origin)
	}
}

func (f *flat) route(path string, r *model.Route) {
	f.add(path+".ports", fmt.Sprint(r.Ports), r.Origin)
	f.add(path+".from", strings.Join(model.CallerNames(r.From), ", "), r.Origin)
	f.add(path+".match", matchText(r.Match), r.Origin)
	for _, d := range r.Split {
		f.add(at(path+".to", d.Version), literal.FormatPercent(d.BasisPoints)+" %", d.Origin)
	}
	f.actions(path, r)
	f.settings(path, r.Passing(), r.Origin)
	if !r.Answers() {
		f.onTheWay(path, r)
	}
	f.headers(path+".requestHeaders", r.RequestHeaders, r.Origin)
	f.headers(path+".responseHeaders", r.ResponseHeaders, r.Origin)
	for _, fault := range r.Faults() {
		f.fault(path+"."+fault.Kind, &fault)
	}
}

// onTheWay is how long a destination is waited for, and how one is chosen.
func (f *flat) onTheWay(path string, r *model.Route) {
	f.add(path+".timeout", limitText(r.Timeout), or(r.TimeoutOrigin, r.Origin))
	f.optionalLimit(path+".maxDuration", r.MaxDuration, r.Origin)
	f.optionalLimit(path+".idleTimeout", r.IdleTimeout, r.Origin)
	for i, k := range r.Hash {
		f.add(fmt.Sprintf("%s.hash[%d]", path, i), k.String(), or(k.Origin, r.Origin))
	}
	f.retry(path+".retries", r)
}

func (f *flat) fault(path string, of *model.Fault) {
	f.add(path, fmt.Sprintf("%s for %s %% until %s (%s)", of.What, literal.FormatPercent(of.BasisPoints), of.Until.UTC().Format(time.RFC3339), of.Name), of.Origin)
	f.add(path+".for", of.Text(), of.Origin)
	f.add(path+".match", matchText(of.Match), of.Origin)
}

func (f *flat) retry(path string, route *model.Route) {
	r := route.Retry
	if r == nil {
		f.add(path, "none", route.Origin)
		return
	}
	origin := or(r.Origin, route.Origin)
	f.add(path+".attempts", fmt.Sprint(r.Attempts), origin)
	on := slices.Clone(r.On)
	for _, code := range r.Statuses {
		on = append(on, fmt.Sprint(code))
	}
	f.add(path+".on", strings.Join(on, ", "), origin)
	f.add(path+".perTry", limitText(r.PerTry), origin)
	methods := "every method"
	if len(r.Methods) > 0 {
		methods = strings.Join(r.Methods, ", ")
	}
	f.add(path+".methods", methods, origin)
	f.settings(path, r.Settings(), origin)
}

// optionalLimit leaves out what has no limit of its own.
func (f *flat) optionalLimit(path string, d time.Duration, origin diag.Range) {
	if d != 0 {
		f.add(path, d.String(), origin)
	}
}

func (f *flat) headers(path string, h model.HeaderOps, origin diag.Range) {
	f.headerList(path+".set", h.Set, origin)
	f.headerList(path+".add", h.Add, origin)
	for _, name := range h.Remove {
		f.add(at(path+".remove", name), "removed", origin)
	}
}

// headerList joins the values of one name: `add` may repeat it.
func (f *flat) headerList(path string, list []model.Header, origin diag.Range) {
	values := map[string][]string{}
	for _, h := range list {
		values[h.Name] = append(values[h.Name], fmt.Sprintf("%q", h.Value))
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		f.add(at(path, name), strings.Join(values[name], ", "), origin)
	}
}

// gateway leaves out what its routes take over from services: that changes
// with the service and is shown there.
func (f *flat) gateway(g *model.Gateway) {
	f.begin("gateway "+g.Ref.String(), g.Origin)
	f.add("serviceAccount", g.ServiceAccount, g.Origin)
	f.add("spiffeID", g.SPIFFEID, g.Origin)
	if g.Egress {
		f.add("kind", "egress", g.Origin)
	}
	f.accessLog(g.AccessLog)
	f.settings("metrics", g.Metrics.Settings(), g.Origin)
	f.settings("tracing", g.Tracing.Settings(), g.Origin)
	f.proxy(g.Envoy)
	f.settings("timeouts", g.Timeouts.Settings(), g.Origin)
	for _, s := range g.Facing() {
		f.add(s.Name, s.Value, s.At)
	}
	if g.AllowOnly {
		f.add("allowOnly", "true", g.Origin)
	}
	f.rules("allow", g.Allow)
	f.rules("deny", g.Deny)
	f.rules("audit", g.Audit)
	f.tokens(g.JWT, g.Public)
	f.settings("rateLimits", model.LimitSettings(g.RateLimits), g.Origin)
	f.settings("", append(g.Compression.Settings(), g.Buffer.Settings()...), f.at)
	f.authorizer(g.Authorizer)
	for _, l := range g.Listeners {
		path := at("listeners", l.Name)
		f.add(path+".port", fmt.Sprint(l.Port), l.Origin)
		f.add(path+".protocol", string(l.Protocol), l.Origin)
		if l.Bind != "" {
			f.add(path+".bind", l.Bind, l.Origin)
		}
		f.settings(path+".tls", l.TLS.Settings(), l.Origin)
		if l.ProxyProtocol {
			f.add(path+".proxyProtocol", "required of every connection", l.Origin)
		}
		f.connections(path, l.MaxConnections, l.Origin)
		if l.Redirect != nil {
			f.add(path+".redirectToHTTPS", fmt.Sprintf("%d to port %d", l.Redirect.Status, l.Redirect.Port), l.Origin)
			f.add(path+".hosts", strings.Join(l.RedirectHosts, ", "), l.Origin)
		}
		for _, h := range l.Hosts {
			var names []string
			for _, r := range h.Routes {
				names = append(names, r.Name)
				rule := at(path+at(".hosts", h.Host)+".routes", r.Name)
				f.add(rule+".match", matchText(r.Route.Match), r.Origin)
				f.gatewayAction(rule, r)
			}
			f.add(path+at(".hosts", h.Host)+".routes", strings.Join(names, ", "), l.Origin)
		}
	}
}

func (f *flat) external(e *model.External) {
	f.begin("external "+e.Ref.String(), e.Origin)
	f.add("host", e.Host, e.Origin)
	f.ports(e.Ports)
	if v := e.Via; v != nil {
		f.add("via", v.Gateway.String(), v.Origin)
	}
	f.add("endpoints", strings.Join(e.Endpoints, ", "), e.Origin)
	f.add("timeout", limitText(e.Timeout), e.Origin)
	f.add("proxyProtocol", e.Announce, e.Origin)
	f.settings("traffic", e.Traffic.Settings(), e.Origin)
	f.settings("tls", e.TLS.Settings(), e.Origin)
}

// settings adds each under path; around is the place of what has none.
func (f *flat) settings(path string, list []model.Setting, around diag.Range) {
	if path != "" {
		path += "."
	}
	for _, s := range list {
		f.add(path+s.Name, s.Value, or(s.At, around))
	}
}

func at(path, key string) string { return path + "[" + key + "]" }

func matchText(ms []model.Match) string {
	if len(ms) == 0 {
		return model.Match{}.String()
	}
	var parts []string
	for _, m := range ms {
		parts = append(parts, m.String())
	}
	return strings.Join(parts, " or ")
}

func limitText(d time.Duration) string {
	if d == 0 {
		return "no limit"
	}
	return d.String()
}

func labelsText(labels map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, k+"="+labels[k])
	}
	return "labels " + strings.Join(parts, ",")
}

func or(r, def diag.Range) diag.Range {
	if r.IsZero() {
		return def
	}
	return r
}
