package model

import (
	"slices"
	"strings"
)

// RawKind is a kind of resource that raw configuration patches.
type RawKind string

// Kinds.
const (
	RawListener RawKind = "listener"
	RawRoutes   RawKind = "routes"
	RawCluster  RawKind = "cluster"
)

// Raw is a patch of one resource of Envoy, for what the model has no words for.
type Raw struct {
	Name        string
	Kind        RawKind
	Target      string // the name of the resource
	Proxies     []Ref  // services and gateways whose proxies are meant, sorted; none = all that have it
	Patch       string // JSON of the resource's message
	Hash        string // of the resource before the patch
	Origin      Origin
	PatchOrigin Origin
	HashOrigin  Origin
}

// For says whether the proxies of a service or gateway are meant.
func (r *Raw) For(proxy Ref) bool {
	return len(r.Proxies) == 0 || slices.Contains(r.Proxies, proxy)
}

// OfGateways says that the resource is one that only gateways have.
func (r *Raw) OfGateways() bool { return strings.HasPrefix(r.Target, "gateway|") }

// Touches says whether what happens to requests to a service or external of
// this host may depend on r: its resource is one by which they are called, or,
// for a service, one of its own proxies'.
func (r *Raw) Touches(ref Ref, host string) bool {
	if strings.HasSuffix(r.Target, "|"+host) {
		return true
	}
	return strings.HasPrefix(r.Target, "inbound|") && r.For(ref)
}
