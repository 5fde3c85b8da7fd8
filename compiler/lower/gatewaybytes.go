package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// hostsOfBytes are the routes of a listener that carries bytes: each host pattern
// has one, because nothing but the server name tells connections apart.
func hostsOfBytes(gl *intent.GatewayListener, rules []*gatewayRule) []model.GatewayHost {
	var out []model.GatewayHost
	for _, host := range patternsOf(gl, rules) {
		for _, rule := range rules {
			if len(rule.expanded) > 0 && slices.Contains(rule.listeners[gl.Name.V], host) {
				out = append(out, model.GatewayHost{Host: host, Routes: rule.expanded[:1]})
				break
			}
		}
	}
	return out
}
