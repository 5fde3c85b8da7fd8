package answer

import (
	"github.com/meshc/meshc/compiler/model"
)

// What a URL without a port means.
const (
	httpPort  = 80
	httpsPort = 443
)

// DefaultPort is the port that a URL without one means here: 80, unless what
// answers has exactly one port, and that is another.
func DefaultPort(m *model.Mesh, from model.Ref, req *Request) uint16 {
	if g := m.Gateway(from); g != nil {
		if len(g.Listeners) == 1 {
			return g.Listeners[0].Port
		}
		if req.TLS {
			return httpsPort
		}
		return httpPort
	}
	for _, s := range m.Services {
		if len(s.Ports) == 1 && answersTo(s, req.Host, from.Namespace) {
			return s.Ports[0].Number
		}
	}
	for _, e := range m.Externals {
		if len(e.Ports) == 1 && req.Host == e.Host {
			return e.Ports[0].Number
		}
	}
	return httpPort
}

// answersTo says whether a caller in namespace reaches s under host: beside
// its host, by "<name>.<namespace>" and, from its own namespace, by its name.
func answersTo(s *model.Service, host, namespace string) bool {
	return host == s.Host || host == s.Name+"."+s.Namespace || host == s.Name && s.Namespace == namespace
}
