package scope

import "github.com/meshc/meshc/compiler/intent"

// KeyPort is the port of an external that keys are fetched from: the one that is
// named, else the only one; nil for none.
func KeyPort(e *intent.External, k *intent.JWKS) *intent.Port {
	if k.Port != nil {
		return Port(e.Ports, k.Port.V)
	}
	if len(e.Ports) == 1 {
		return e.Ports[0]
	}
	return nil
}
