package scope

import (
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// RateLimitRef is the service that counts for global limits. The mesh as a whole
// has no namespace: a bare name is one in "default".
func RateLimitRef(r *intent.RateLimitService) model.Ref {
	return literal.Ref(r.Service.V, DefaultNamespace)
}

// RateLimitServer is that service; nil for an unknown one.
func (s *Scope) RateLimitServer(r *intent.RateLimitService) *intent.Service {
	return s.Service(RateLimitRef(r))
}

// RateLimitPort is the port that is asked: the one it names, or the only grpc
// port; nil when there is none.
func RateLimitPort(s *intent.Service, r *intent.RateLimitService) *intent.Port {
	if s == nil {
		return nil
	}
	if r.Port != nil {
		return Port(s.Ports, r.Port.V)
	}
	var only *intent.Port
	for _, p := range s.Ports {
		if p.Protocol.V != string(model.GRPC) {
			continue
		}
		if only != nil {
			return nil
		}
		only = p
	}
	return only
}
