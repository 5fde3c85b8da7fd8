package valid

import (
	"errors"
	"fmt"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
)

// Resources are what one proxy gets.
type Resources struct {
	Listeners []*listenerv3.Listener
	Routes    []*routev3.RouteConfiguration
	Clusters  []*clusterv3.Cluster
	Endpoints []*endpointv3.ClusterLoadAssignment
	// Beside are clusters that the proxy has from elsewhere.
	Beside []string
}

// Set says why a proxy would refuse what it gets, or answer 503 for want of
// it: each resource for itself, names that are there twice, and routes to
// clusters that are not there. Each reason names the resource.
func Set(r *Resources) error {
	var out []error
	known := map[string]bool{}
	out = each(out, "cluster", r.Clusters, known)
	out = each(out, "listener", r.Listeners, map[string]bool{})
	out = each(out, "routes", r.Routes, map[string]bool{})
	out = each(out, "endpoints", r.Endpoints, map[string]bool{})
	for _, rc := range r.Routes {
		for _, name := range Destinations(rc) {
			if !known[name] && !slices.Contains(r.Beside, name) {
				out = append(out, fmt.Errorf("routes %q: there is no cluster %q", rc.GetName(), name))
			}
		}
	}
	return errors.Join(out...)
}

func each[M proto.Message](out []error, kind string, list []M, seen map[string]bool) []error {
	for _, m := range list {
		name := Name(m)
		if seen[name] {
			out = append(out, fmt.Errorf("%s %q is there twice", kind, name))
		}
		seen[name] = true
		if err := Message(m); err != nil {
			out = append(out, fmt.Errorf("%s %q: %w", kind, name, err))
		}
	}
	return out
}

// Name is that by which a proxy asks for a resource.
func Name(m proto.Message) string {
	switch m := m.(type) {
	case interface{ GetClusterName() string }:
		return m.GetClusterName()
	case interface{ GetName() string }:
		return m.GetName()
	}
	return ""
}

// Destinations are the clusters that routes lead to, each once.
func Destinations(rc *routev3.RouteConfiguration) []string {
	var out []string
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, v := range rc.GetVirtualHosts() {
		for _, r := range v.GetRoutes() {
			add(r.GetRoute().GetCluster())
			for _, w := range r.GetRoute().GetWeightedClusters().GetClusters() {
				add(w.GetName())
			}
			for _, m := range r.GetRoute().GetRequestMirrorPolicies() {
				add(m.GetCluster())
			}
		}
	}
	return out
}
