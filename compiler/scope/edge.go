package scope

import "github.com/meshc/meshc/compiler/intent"

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
