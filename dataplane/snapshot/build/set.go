// Package build turns a set of typed resources into a snapshot.Config: it
// resolves names between them, makes TLS configurations and resolves DNS.
package build

import (
	"github.com/meshc/meshc/dataplane/identity/secretfile"
	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/route"
)

// Set is a set of resources by name. Listeners and Clusters are those to
// serve; the others are what they refer to.
type Set struct {
	Digest    string // of what the set was made from
	Listeners map[string]*resource.Listener
	Clusters  map[string]*resource.Cluster
	Routes    map[string]*route.Table
	Endpoints map[string]*resource.Endpoints
	Secrets   map[string]*resource.Secret
}

// NewSet gives an empty set.
func NewSet() *Set {
	return &Set{
		Listeners: make(map[string]*resource.Listener),
		Clusters:  make(map[string]*resource.Cluster),
		Routes:    make(map[string]*route.Table),
		Endpoints: make(map[string]*resource.Endpoints),
		Secrets:   make(map[string]*resource.Secret),
	}
}

// Add puts r where it belongs, in place of one with the same name.
func (s *Set) Add(r resource.Resource) {
	name := r.ResourceName()
	switch r := r.(type) {
	case *resource.Listener:
		s.Listeners[name] = r
	case *resource.Cluster:
		s.Clusters[name] = r
	case *resource.RouteConfiguration:
		s.Routes[name] = r.Table
	case *resource.Endpoints:
		s.Endpoints[name] = r
	case *resource.Secret:
		s.Secrets[name] = r
	}
}

// Lacks names the first thing, as "kind name", that r refers to and that is
// not in the set; "" when r is complete. Secrets of the proxy's own identity
// are never lacking: a handshake without identity fails, and the next works.
func (s *Set) Lacks(r resource.Resource) string {
	switch r := r.(type) {
	case *resource.Listener:
		for _, name := range r.RouteConfigs() {
			if s.Routes[name] == nil {
				return "route configuration " + name
			}
		}
		return s.lacksSecret(r.Secrets())
	case *resource.Cluster:
		if r.Discovery == resource.EDS && s.Endpoints[r.EDSName] == nil {
			return "cluster load assignment " + r.EDSName
		}
		return s.lacksSecret(r.Secrets())
	}
	return ""
}

func (s *Set) lacksSecret(refs []resource.SecretRef) string {
	for _, ref := range refs {
		if ref.Source == resource.FromADS && s.Secrets[ref.Name] == nil {
			return "secret " + ref.Name
		}
	}
	return ""
}

// files are the names of the secrets that are read from files.
func (s *Set) files() map[string]bool {
	out := map[string]bool{}
	add := func(refs []resource.SecretRef) {
		for _, ref := range refs {
			if secretfile.Known(ref.Name) {
				out[ref.Name] = true
			}
		}
	}
	for _, l := range s.Listeners {
		add(l.Secrets())
	}
	for _, c := range s.Clusters {
		add(c.Secrets())
	}
	return out
}
