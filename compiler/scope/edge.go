package scope

import (
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// RedirectsToHTTPS says that a listener sends every client to https.
func RedirectsToHTTPS(l *intent.GatewayListener) bool { return l.Redirect != nil && l.Redirect.V }

// HTTPSListener is the one https listener of a gateway; nil for none or several.
func HTTPSListener(g *intent.Gateway) *intent.GatewayListener {
	var found *intent.GatewayListener
	for _, l := range g.Listeners {
		if l.Protocol.V != "https" {
			continue
		}
		if found != nil {
			return nil
		}
		found = l
	}
	return found
}

// CarriesBytes says that a listener reads no requests.
func CarriesBytes(l *intent.GatewayListener) bool { return model.Protocol(l.Protocol.V).Opaque() }

// RouteListeners are those that a gateway's route is on: the one that it names,
// else every http and https listener, else every tls and tcp one. A name of no
// listener gives none.
func RouteListeners(g *intent.Gateway, r *intent.GatewayRoute) []*intent.GatewayListener {
	var named, http, bytes []*intent.GatewayListener
	for _, l := range g.Listeners {
		if r.Listener != nil && l.Name.V == r.Listener.V {
			named = append(named, l)
		}
		if CarriesBytes(l) {
			bytes = append(bytes, l)
		} else {
			http = append(http, l)
		}
	}
	switch {
	case r.Listener != nil:
		return named
	case len(http) > 0:
		return http
	}
	return bytes
}

// IsEgress says that a gateway is for what services send to externals.
func IsEgress(g *intent.Gateway) bool { return g.Kind != nil && g.Kind.V == "egress" }

// Via is the gateway that an external names, or nil.
func (s *Scope) Via(e *intent.External) *intent.Gateway {
	if e.Via == nil {
		return nil
	}
	return s.Gateway(literal.Ref(e.Via.V, ExternalRef(e).Namespace))
}
