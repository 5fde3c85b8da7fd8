package scope

import (
	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/intent"
)

// Watch tells r of every name that is looked up from now on.
func (s *Scope) Watch(r *changed.Reads) { s.reads = r }

// Renew puts things that are new in the place of those that had their names.
func (s *Scope) Renew(services []*intent.Service, gateways []*intent.Gateway, externals []*intent.External) {
	for _, x := range services {
		s.services[ServiceRef(x)] = x
	}
	for _, x := range gateways {
		s.gateways[GatewayRef(x)] = x
	}
	for _, x := range externals {
		s.externals[ExternalRef(x)] = x
	}
}
