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
	SPIFFEID string // of the gateway
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
	keys := func(list []JWT) bool {
		return slices.ContainsFunc(KeySources(list), func(k JWKS) bool { return k.External == r })
	}
	collects := func(list []Collector) bool {
		return slices.ContainsFunc(list, func(c Collector) bool { return c.To == r })
	}
	var out []string
	for _, s := range m.Services {
		if slices.Contains(s.Uses, r) || keys(s.JWT) || collects(s.Collectors()) {
			out = append(out, s.SPIFFEID)
		}
	}
	for _, g := range m.Gateways {
		if keys(g.JWT) || collects(g.Collectors()) {
			out = append(out, g.SPIFFEID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
