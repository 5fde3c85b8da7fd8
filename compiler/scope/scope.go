// Package scope resolves the names of one mesh: it takes intent and answers
// what a reference means. Rules are those of the design: a namespace that is
// not written is "default", a service account is the service's name, and a
// reference without a namespace stays in its own.
package scope

import (
	"slices"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/target"
)

// Built-in defaults of names.
const (
	DefaultNamespace   = "default"
	DefaultTrustDomain = "cluster.local"
)

// Scope finds things by name. Where two things claim one name, the first in
// source order has it.
type Scope struct {
	TrustDomain string
	Aliases     []string          // of the trust domain, sorted
	MTLS        model.MTLSMode    // of the mesh
	migration   *intent.Migration // of the mesh
	Proxy       target.Proxy      // of workloads and gateways that do not say
	traffic     *intent.Traffic   // of the mesh
	services    map[model.Ref]*intent.Service
	gateways    map[model.Ref]*intent.Gateway
	externals   map[model.Ref]*intent.External
	collects    map[model.Ref]bool // what takes the telemetry of the mesh
	reads       *changed.Reads     // who asks for what; nil: nobody wants to know
}

// New indexes m.
func New(m *intent.Mesh) *Scope {
	s := &Scope{
		TrustDomain: Or(m.Config.TrustDomain, DefaultTrustDomain),
		migration:   m.Config.Migration,
		MTLS:        model.MTLSMode(Or(m.Config.MTLS, string(model.MTLSStrict))),
		traffic:     m.Config.Traffic,
		services:    index(m.Services, ServiceRef),
		gateways:    index(m.Gateways, GatewayRef),
		externals:   index(m.Externals, ExternalRef),
		collects:    collects(m),
	}
	for _, alias := range m.Config.Aliases {
		s.Aliases = append(s.Aliases, alias.V)
	}
	slices.Sort(s.Aliases)
	s.Aliases = slices.Compact(s.Aliases)
	s.Proxy, _ = target.ByName(Or(m.Config.Proxy, target.Meshc.Name()))
	return s
}

func index[T any](list []*T, ref func(*T) model.Ref) map[model.Ref]*T {
	m := make(map[model.Ref]*T, len(list))
	for _, x := range list {
		if _, taken := m[ref(x)]; !taken {
			m[ref(x)] = x
		}
	}
	return m
}

// Or gives what was written, or def.
func Or[T any](v *intent.Value[T], def T) T {
	if v == nil {
		return def
	}
	return v.V
}

// ServiceRef names a service.
func ServiceRef(s *intent.Service) model.Ref {
	return model.Ref{Namespace: Or(s.Namespace, DefaultNamespace), Name: s.Name.V}
}

// GatewayRef names a gateway.
func GatewayRef(g *intent.Gateway) model.Ref {
	return model.Ref{Namespace: Or(g.Namespace, DefaultNamespace), Name: g.Name.V}
}

// ExternalRef names an external.
func ExternalRef(e *intent.External) model.Ref {
	return model.Ref{Namespace: Or(e.Namespace, DefaultNamespace), Name: e.Name.V}
}

// Service finds a service, or nil.
func (s *Scope) Service(r model.Ref) *intent.Service {
	s.reads.Note(r)
	return s.services[r]
}

// Gateway finds a gateway, or nil.
func (s *Scope) Gateway(r model.Ref) *intent.Gateway {
	s.reads.Note(r)
	return s.gateways[r]
}

// External finds an external, or nil.
func (s *Scope) External(r model.Ref) *intent.External {
	s.reads.Note(r)
	return s.externals[r]
}

// Host is the DNS name of a service.
func Host(svc *intent.Service) string {
	ref := ServiceRef(svc)
	return Or(svc.Host, ref.Name+"."+ref.Namespace+".svc.cluster.local")
}

// Mode is the mTLS mode of a service's ports: its own, else the mesh's.
func (s *Scope) Mode(svc *intent.Service) model.MTLSMode {
	if s.Migration(svc) != nil {
		return model.MTLSPermissive
	}
	if svc.Security != nil && svc.Security.MTLS != nil {
		return model.MTLSMode(svc.Security.MTLS.V)
	}
	return s.MTLS
}

// Migration is the one that a service is in: its own, else the mesh's where it
// writes no mode; nil for none.
func (s *Scope) Migration(svc *intent.Service) *intent.Migration {
	switch own := svc.Security; {
	case own != nil && own.Migration != nil:
		return own.Migration
	case own != nil && own.MTLS != nil:
		return nil
	}
	return s.migration
}

// ModeOn is the mTLS mode of one port, by its name: its own, else the service's.
func (s *Scope) ModeOn(svc *intent.Service, port string) model.MTLSMode {
	if svc.Security != nil {
		for _, p := range svc.Security.Ports {
			if p.Name.V == port {
				return model.MTLSMode(p.MTLS.V)
			}
		}
	}
	return s.Mode(svc)
}

// ServiceID is the SPIFFE ID of a service.
func (s *Scope) ServiceID(svc *intent.Service) string {
	ref := ServiceRef(svc)
	return model.SPIFFEID(s.TrustDomain, ref.Namespace, Or(svc.ServiceAccount, ref.Name))
}

// GatewayID is the SPIFFE ID of a gateway.
func (s *Scope) GatewayID(g *intent.Gateway) string {
	ref := GatewayRef(g)
	return model.SPIFFEID(s.TrustDomain, ref.Namespace, Or(g.ServiceAccount, ref.Name))
}

// CallerID is the SPIFFE ID of the service or gateway called r.
func (s *Scope) CallerID(r model.Ref) (string, bool) {
	if svc := s.Service(r); svc != nil {
		return s.ServiceID(svc), true
	}
	if g := s.Gateway(r); g != nil {
		return s.GatewayID(g), true
	}
	return "", false
}

// ServiceProxy is the kind of proxy that serves a service: what it or the mesh
// says, else meshc-proxy. A service that speaks and uses nothing but grpc has
// none: its application reads xDS itself. Emission places workloads likewise.
func (s *Scope) ServiceProxy(svc *intent.Service) target.Proxy {
	ports := slices.Clone(svc.Ports)
	for _, u := range svc.Uses {
		to := s.Service(literal.Ref(u.Ref.V, ServiceRef(svc).Namespace))
		if to == nil {
			return s.proxy(svc.Proxy) // an external is reached through a proxy
		}
		ports = append(ports, to.Ports...)
	}
	http := func(p *intent.Port) bool { return p.Protocol.V != string(model.GRPC) }
	if len(ports) == 0 || slices.ContainsFunc(ports, http) {
		return s.proxy(svc.Proxy)
	}
	return target.GRPC
}

// GatewayProxy is the kind of proxy that a gateway is.
func (s *Scope) GatewayProxy(g *intent.Gateway) target.Proxy { return s.proxy(g.Proxy) }

func (s *Scope) proxy(own *intent.Value[string]) target.Proxy {
	if own == nil {
		return s.Proxy
	}
	p, _ := target.ByName(own.V)
	return p
}

// IsHTTP says whether this version routes a port's protocol.
func IsHTTP(p *intent.Port) bool {
	return p.Protocol.V == string(model.HTTP) || p.Protocol.V == string(model.GRPC)
}

// Port finds a port by name, or nil.
func Port(ports []*intent.Port, name string) *intent.Port {
	for _, p := range ports {
		if p.Name.V == name {
			return p
		}
	}
	return nil
}

// BackendPort is the port of svc that a gateway route goes to: the one it
// names, else the only one. Nil means that there is no such port, or that a
// name is needed.
func BackendPort(svc *intent.Service, r *intent.GatewayRoute) *intent.Port {
	if r.Port != nil {
		return Port(svc.Ports, r.Port.V)
	}
	if len(svc.Ports) == 1 {
		return svc.Ports[0]
	}
	return nil
}

// Backend resolves the service that a gateway route names.
func (s *Scope) Backend(g *intent.Gateway, r *intent.GatewayRoute) *intent.Service {
	return s.Service(literal.Ref(r.To.V, GatewayRef(g).Namespace))
}
