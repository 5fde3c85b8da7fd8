package model

import (
	"slices"
)

// Service finds a service by name, or nil.
func (m *Mesh) Service(r Ref) *Service {
	i, ok := slices.BinarySearchFunc(m.Services, r, func(s *Service, r Ref) int { return s.Ref.Compare(r) })
	if !ok {
		return nil
	}
	return m.Services[i]
}

// Gateway finds a gateway by name, or nil.
func (m *Mesh) Gateway(r Ref) *Gateway {
	i, ok := slices.BinarySearchFunc(m.Gateways, r, func(g *Gateway, r Ref) int { return g.Ref.Compare(r) })
	if !ok {
		return nil
	}
	return m.Gateways[i]
}

// External finds an external by name, or nil.
func (m *Mesh) External(r Ref) *External {
	i, ok := slices.BinarySearchFunc(m.Externals, r, func(e *External, r Ref) int { return e.Ref.Compare(r) })
	if !ok {
		return nil
	}
	return m.Externals[i]
}

// Port finds a port of the service by number, or nil.
func (s *Service) Port(number uint16) *Port { return portByNumber(s.Ports, number) }

// Port finds a port of the external by number, or nil.
func (e *External) Port(number uint16) *Port { return portByNumber(e.Ports, number) }

func portByNumber(ports []Port, number uint16) *Port {
	for i := range ports {
		if ports[i].Number == number {
			return &ports[i]
		}
	}
	return nil
}

// Version finds a version by name, or nil.
func (s *Service) Version(name string) *Version {
	for i := range s.Versions {
		if s.Versions[i].Name == name {
			return &s.Versions[i]
		}
	}
	return nil
}

// HealthOf says how callers ask the instances of a version whether they are
// well; nil when they do not, or when there is no such version.
func (s *Service) HealthOf(version string) *Health {
	if v := s.Version(version); v != nil && v.Traffic != nil {
		return v.Traffic.Health
	}
	return nil
}

// LocalityOf says which places get the requests to a version; nil when all are
// alike, or when there is no such version.
func (s *Service) LocalityOf(version string) *LocalityPolicy {
	if v := s.Version(version); v != nil && v.Traffic != nil {
		return v.Traffic.Locality
	}
	return nil
}

// ServicesByID groups the services by SPIFFE ID; one ID usually has one.
func (m *Mesh) ServicesByID() map[string][]*Service {
	byID := make(map[string][]*Service, len(m.Services))
	for _, s := range m.Services {
		byID[s.SPIFFEID] = append(byID[s.SPIFFEID], s)
	}
	return byID
}

// RoleOf is the role of a service's workloads: one that speaks and uses nothing
// but grpc reads xDS itself, without a proxy in its way. All others have a
// sidecar.
func (m *Mesh) RoleOf(s *Service) Role {
	other := func(p Port) bool { return p.Protocol != GRPC }
	ports := len(s.Ports)
	if slices.ContainsFunc(s.Ports, other) {
		return RoleSidecar
	}
	for _, used := range s.Uses {
		to := m.Service(used)
		if to == nil || slices.ContainsFunc(to.Ports, other) {
			return RoleSidecar // an external is reached through a proxy
		}
		ports += len(to.Ports)
	}
	if ports == 0 {
		return RoleSidecar
	}
	return RoleGRPC
}
