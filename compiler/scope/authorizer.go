package scope

import (
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// AskedPort is the grpc port on which an authorizer is asked: the one that is
// named, else the only one; nil for none.
func AskedPort(s *intent.Service, a *intent.Authorizer) *intent.Port {
	var found []*intent.Port
	for _, p := range s.Ports {
		if p.Protocol.V == string(model.GRPC) && (a.Port == nil || a.Port.V == p.Name.V) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}
