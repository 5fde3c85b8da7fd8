package scope

import "github.com/meshc/meshc/compiler/intent"

// VersionTraffic says how callers treat a version: block by block what it
// writes itself, else the service, else the mesh; nil when nobody writes
// anything.
func (s *Scope) VersionTraffic(svc *intent.Service, v *intent.Version) *intent.Traffic {
	return Overlay(Overlay(s.traffic, svc.Traffic), v.Traffic)
}

// ExternalTraffic says how callers treat an external, in the same way.
func (s *Scope) ExternalTraffic(e *intent.External) *intent.Traffic {
	return Overlay(s.traffic, e.Traffic)
}

// Overlay gives the blocks of top, and those of base that top does not write.
func Overlay(base, top *intent.Traffic) *intent.Traffic {
	if base == nil || top == nil {
		return either(top, base)
	}
	return &intent.Traffic{
		ConnectTimeout: either(top.ConnectTimeout, base.ConnectTimeout),
		Connections:    either(top.Connections, base.Connections),
		RetryBudget:    either(top.RetryBudget, base.RetryBudget),
		Outliers:       either(top.Outliers, base.Outliers),
		Health:         either(top.Health, base.Health),
		Balance:        either(top.Balance, base.Balance),
		Locality:       either(top.Locality, base.Locality),
		At:             top.At,
	}
}

func either[T any](first, second *T) *T {
	if first != nil {
		return first
	}
	return second
}
