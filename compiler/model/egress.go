package model

import (
	"slices"
	"strconv"
)

// EgressPort is where an egress gateway takes the connections of services.
const EgressPort uint16 = 15443

// Via is the egress gateway that an external is reached through.
type Via struct {
	Gateway  Ref
	SPIFFEID string   // of the gateway
	Aliases  []string // trust domains of which it may be as well; sorted
	Origin   Origin
}

// EgressName is the listener of an egress gateway: "egress|15443".
func EgressName() string { return "egress|" + strconv.Itoa(int(EgressPort)) }

// EgressSNI is the server name by which callers tell an egress gateway where
// they want to go: "<port>.<name>.<namespace>" of the external.
func (e *External) EgressSNI(port uint16) string {
	return strconv.Itoa(int(port)) + "." + e.Name + "." + e.Namespace
}

// Behind are the externals that are reached through an egress gateway.
func (m *Mesh) Behind(gateway Ref) []*External {
	var out []*External
	for _, e := range m.Externals {
		if e.Via != nil && e.Via.Gateway == gateway {
			out = append(out, e)
		}
	}
	return out
}

// Users are the SPIFFE IDs of those services that declare to call an external, and
// of those services and gateways that fetch keys of tokens from it or send it
// telemetry, sorted.
func (m *Mesh) Users(r Ref) []string {
	var out []string
	for _, s := range m.Services {
		if s.Reaches(r) {
			out = append(out, s.SPIFFEID)
		}
	}
	for _, g := range m.Gateways {
		if asks(g.JWT, g.Collectors(), r) {
			out = append(out, g.SPIFFEID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Reaches says that the proxies of s know the external r: s declares to call it,
// fetches keys of tokens from it or sends it telemetry.
func (s *Service) Reaches(r Ref) bool {
	return slices.Contains(s.Uses, r) || asks(s.JWT, s.Collectors(), r)
}

// asks says that keys of tokens come from r, or telemetry goes there.
func asks(tokens []JWT, to []Collector, r Ref) bool {
	return slices.ContainsFunc(KeySources(tokens), func(k JWKS) bool { return k.External == r }) ||
		slices.ContainsFunc(to, func(c Collector) bool { return c.To == r })
}
