package model

import (
	"cmp"
	"fmt"
	"slices"
)

// Mirror copies a share of requests to a version of the route's own service, on
// the port that they are for, or of another one.
type Mirror struct {
	Service     Ref    // zero: the route's own
	Host        string // of Service; "" with none
	Port        uint16 // of Service; 0 with none
	Version     string
	BasisPoints uint32
	Origin      Origin
}

// Elsewhere says that copies leave the route's own service.
func (m *Mirror) Elsewhere() bool { return m.Service != Ref{} }

// Cluster is where the copies of requests for port of s go.
func (m *Mirror) Cluster(s *Service, port uint16) string {
	if m.Elsewhere() {
		return ClusterName(m.Port, m.Version, m.Host)
	}
	return ClusterName(port, m.Version, s.Host)
}

// Target names where copies go, for people to read.
func (m *Mirror) Target() string {
	if m.Elsewhere() {
		return fmt.Sprintf("%s:%d/%s", m.Service, m.Port, m.Version)
	}
	return m.Version
}

// CompareMirrors orders by where copies go; 0 for one and the same.
func CompareMirrors(a, b Mirror) int {
	return cmp.Or(a.Service.Compare(b.Service), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Version, b.Version))
}

// CopiesOf gives where a service's proxies copy requests to beside the services
// that they are for, each once.
func (m *Mesh) CopiesOf(s *Service) []Mirror {
	var out []Mirror
	for _, used := range s.Uses {
		if to := m.Service(used); to != nil {
			for _, r := range to.Routes {
				if r.TakesFrom(s.Ref) {
					out = append(out, r.Mirror...)
				}
			}
		}
	}
	return elsewhere(out)
}

// Copies gives where a gateway copies requests to beside the services that they
// are for, each once.
func (g *Gateway) Copies() []Mirror {
	var out []Mirror
	for _, l := range g.Listeners {
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				if r.Route != nil {
					out = append(out, r.Route.Mirror...)
				}
			}
		}
	}
	return elsewhere(out)
}

func elsewhere(list []Mirror) []Mirror {
	list = slices.DeleteFunc(list, func(m Mirror) bool { return !m.Elsewhere() })
	slices.SortFunc(list, CompareMirrors)
	return slices.CompactFunc(list, func(a, b Mirror) bool { return CompareMirrors(a, b) == 0 })
}
