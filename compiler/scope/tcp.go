package scope

import (
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// IsTCP says that a port carries bytes of which nothing is read.
func IsTCP(p *intent.Port) bool { return model.Protocol(p.Protocol.V).Opaque() }

// RoutePorts are the ports that a route is for: the one it names, else every
// http and grpc port, else every tcp port. A name of no port gives none.
func RoutePorts(s *intent.Service, r *intent.Route) []*intent.Port {
	if r.Port != nil {
		if p := Port(s.Ports, r.Port.V); p != nil {
			return []*intent.Port{p}
		}
		return nil
	}
	var http, tcp []*intent.Port
	for _, p := range s.Ports {
		if IsTCP(p) {
			tcp = append(tcp, p)
		} else {
			http = append(http, p)
		}
	}
	if len(http) > 0 {
		return http
	}
	return tcp
}

// Unrouted are the tcp ports that no route is for.
func Unrouted(s *intent.Service) []*intent.Port {
	var out []*intent.Port
	for _, p := range s.Ports {
		if IsTCP(p) && !routed(s, p) {
			out = append(out, p)
		}
	}
	return out
}

func routed(s *intent.Service, p *intent.Port) bool {
	for _, r := range s.Routes {
		for _, q := range RoutePorts(s, r) {
			if p == q {
				return true
			}
		}
	}
	return false
}
