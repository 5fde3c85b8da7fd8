package lower

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
	"github.com/meshc/meshc/compiler/target"
)

// service makes what of a service does not depend on others' routes.
func (l *lowering) service(i int) {
	s := l.intent.Services[i]
	ref := scope.ServiceRef(s)
	l.mesh.Services[i] = &model.Service{
		Ref:            ref,
		Owner:          scope.Or(s.Owner, ""),
		Host:           strings.ToLower(scope.Host(s)),
		ServiceAccount: scope.Or(s.ServiceAccount, ref.Name),
		SPIFFEID:       l.scope.ServiceID(s),
		Aliases:        l.scope.Aliases,
		Ports:          l.servicePorts(s),
		Versions:       l.versions(s),
		Uses:           uses(s.Uses, ref.Namespace),
		MTLS:           l.scope.Mode(s),
		Migration:      mapped(l.scope.Migration(s), migration),
		RateLimits:     l.rateLimits(ref, s.RateLimits),
		Compression:    mapped(s.Compression, compression),
		Buffer:         mapped(s.Buffer, buffer),
		Admission:      mapped(s.Admission, admission),
		AccessLog:      l.accessLog(s.Telemetry, ref),
		Metrics:        l.metrics(s.Telemetry),
		Tracing:        l.tracing(s.Telemetry, ref),
		Injection:      l.injection(s.Workload),
		Envoy:          l.scope.ServiceProxy(s) == target.Envoy,
		Origin:         s.At,
	}
}

func (l *lowering) external(i int) {
	e := l.intent.Externals[i]
	endpoints := texts(e.Endpoints)
	slices.Sort(endpoints)
	l.mesh.Externals[i] = &model.External{
		Ref:       scope.ExternalRef(e),
		Host:      strings.ToLower(e.Host.V),
		Ports:     ports(e.Ports),
		Via:       l.via(e),
		Endpoints: slices.Compact(endpoints),
		Announce:  scope.Or(e.Announce, ""),
		Timeout:   durationOr(e.Timeout, DefaultTimeout),
		Traffic:   placeless(traffic(l.scope.ExternalTraffic(e), e.Host.V, nil)),
		TLS:       externalTLS(e),
		Origin:    e.At,

		TimeoutOrigin: placeOf(e.Timeout),
	}
}

// via is the egress gateway that an external names.
func (l *lowering) via(e *intent.External) *model.Via {
	if e.Via == nil {
		return nil
	}
	g := l.scope.Via(e)
	return &model.Via{Gateway: scope.GatewayRef(g), SPIFFEID: l.scope.GatewayID(g), Aliases: l.scope.Aliases, Origin: e.Via.At}
}

// placeOf is where a value was written; zero where it was not.
func placeOf[T any](v *intent.Value[T]) model.Origin {
	if v == nil {
		return model.Origin{}
	}
	return v.At
}

// servicePorts are ports with the modes that are their own.
func (l *lowering) servicePorts(s *intent.Service) []model.Port {
	out := ports(s.Ports)
	for i := range out {
		if mode := l.scope.ModeOn(s, out[i].Name); mode != l.scope.Mode(s) {
			out[i].MTLS = mode
		}
	}
	return out
}

func ports(ps []*intent.Port) []model.Port {
	var out []model.Port
	for _, p := range ps {
		out = append(out, model.Port{
			Name: p.Name.V, Number: uint16(p.Number.V), Protocol: model.Protocol(p.Protocol.V), MaxConnections: numberOr(p.Most, 0), Origin: p.At,
		})
	}
	slices.SortStableFunc(out, func(a, b model.Port) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

func (l *lowering) versions(s *intent.Service) []model.Version {
	var out []model.Version
	for _, v := range s.Versions {
		out = append(out, model.Version{
			Name: v.Name.V, Labels: labels(v), Origin: v.At,
			Traffic: traffic(l.scope.VersionTraffic(s, v), scope.Host(s), s.Ports),
		})
	}
	slices.SortStableFunc(out, func(a, b model.Version) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func labels(v *intent.Version) map[string]string {
	if v.Labels == nil {
		return map[string]string{"version": v.Name.V}
	}
	m := make(map[string]string, len(v.Labels))
	for _, kv := range v.Labels {
		m[kv.Key.V] = kv.Value.V
	}
	return m
}

func uses(us []*intent.Use, namespace string) []model.Ref {
	var out []model.Ref
	for _, u := range us {
		out = append(out, literal.Ref(u.Ref.V, namespace))
	}
	slices.SortFunc(out, model.Ref.Compare)
	return slices.Compact(out)
}
