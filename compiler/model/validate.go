package model

import (
	"errors"
	"fmt"
	"slices"
)

// Validate says what keeps m from being a resolved mesh: a list out of order,
// a name that leads nowhere, a split that is not whole. lower never makes
// such a model; one that was stored and read back may be damaged.
func (m *Mesh) Validate() error {
	var errs []error
	sorted := slices.IsSortedFunc(m.Services, func(a, b *Service) int { return a.Ref.Compare(b.Ref) }) &&
		slices.IsSortedFunc(m.Gateways, func(a, b *Gateway) int { return a.Ref.Compare(b.Ref) }) &&
		slices.IsSortedFunc(m.Externals, func(a, b *External) int { return a.Ref.Compare(b.Ref) })
	if !sorted {
		return errors.New("services, gateways or externals are not sorted")
	}
	for _, s := range m.Services {
		errs = append(errs, m.validateService(s))
	}
	for _, e := range m.Externals {
		if g := e.Via; g != nil && (m.Gateway(g.Gateway) == nil || !m.Gateway(g.Gateway).Egress) {
			errs = append(errs, fmt.Errorf("external %s is reached via %s, which is no egress gateway", e.Ref, g.Gateway))
		}
	}
	for _, g := range m.Gateways {
		errs = append(errs, m.validateGateway(g))
	}
	return errors.Join(errs...)
}

func (m *Mesh) validateService(s *Service) error {
	for _, u := range s.Uses {
		if m.Service(u) == nil && m.External(u) == nil {
			return fmt.Errorf("service %s uses %s, which does not exist", s.Ref, u)
		}
	}
	for _, r := range s.Routes {
		if err := s.validateRoute(r); err != nil {
			return fmt.Errorf("service %s: %w", s.Ref, err)
		}
		if err := m.validateCopies(r); err != nil {
			return fmt.Errorf("service %s: %w", s.Ref, err)
		}
	}
	return nil
}

func (m *Mesh) validateCopies(r *Route) error {
	for _, c := range r.Mirror {
		if !c.Elsewhere() {
			continue
		}
		s := m.Service(c.Service)
		if s == nil || s.Host != c.Host || s.Port(c.Port) == nil || s.Version(c.Version) == nil {
			return fmt.Errorf("route %q copies to unknown %s", r.Name, c.Target())
		}
	}
	return nil
}

func (s *Service) validateRoute(r *Route) error {
	for _, p := range r.Ports {
		if s.Port(p) == nil {
			return fmt.Errorf("route %q is on unknown port %d", r.Name, p)
		}
	}
	if r.Answers() {
		if len(r.Split) > 0 {
			return fmt.Errorf("route %q answers by itself and has a split", r.Name)
		}
		return nil
	}
	for _, m := range r.Mirror {
		if !m.Elsewhere() && s.Version(m.Version) == nil {
			return fmt.Errorf("route %q copies to unknown version %q", r.Name, m.Version)
		}
	}
	var sum uint32
	for _, d := range r.Split {
		if s.Version(d.Version) == nil {
			return fmt.Errorf("route %q goes to unknown version %q", r.Name, d.Version)
		}
		if d.BasisPoints == 0 || d.BasisPoints > BasisPointsWhole {
			return fmt.Errorf("route %q: %d basis points for version %q", r.Name, d.BasisPoints, d.Version)
		}
		sum += d.BasisPoints
	}
	if sum != BasisPointsWhole {
		return fmt.Errorf("route %q: its split is %d basis points, not %d", r.Name, sum, BasisPointsWhole)
	}
	return nil
}

func (m *Mesh) validateGateway(g *Gateway) error {
	for _, l := range g.Listeners {
		if !slices.IsSortedFunc(l.Hosts, func(a, b GatewayHost) int { return CompareHosts(a.Host, b.Host) }) {
			return fmt.Errorf("gateway %s: hosts of listener %q are not sorted", g.Ref, l.Name)
		}
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				if err := m.validateGatewayRoute(r); err != nil {
					return fmt.Errorf("gateway %s, host %q: %w", g.Ref, h.Host, err)
				}
			}
		}
	}
	return nil
}

func (m *Mesh) validateGatewayRoute(r *GatewayRoute) error {
	if r.Itself() {
		return (&Service{}).validateRoute(r.Route)
	}
	s := m.Service(r.Service)
	switch {
	case s == nil:
		return fmt.Errorf("route %q goes to unknown service %s", r.Name, r.Service)
	case r.Route == nil:
		return fmt.Errorf("route %q holds no rule", r.Name)
	case s.Port(r.Port) == nil:
		return fmt.Errorf("route %q goes to unknown port %d of %s", r.Name, r.Port, r.Service)
	}
	if err := m.validateCopies(r.Route); err != nil {
		return err
	}
	return s.validateRoute(r.Route)
}
