package route

import (
	"fmt"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// notUpgrades are types that Envoy takes for something else: CONNECT is a method,
// and an offer of h2c is declined in silence wherever it is made.
var notUpgrades = []string{"connect", "connect-udp", "h2c", ""}

func upgrades(list []*routev3.RouteAction_UpgradeConfig) ([]string, error) {
	var out, seen []string
	for i, c := range list {
		name := strings.ToLower(c.GetUpgradeType())
		if slices.Contains(notUpgrades, name) {
			return nil, fmt.Errorf("upgrade_configs[%d]: upgrade_type %q is not supported", i, c.GetUpgradeType())
		}
		if slices.Contains(seen, name) {
			return nil, fmt.Errorf("upgrade_configs[%d]: upgrade_type %q is there twice", i, c.GetUpgradeType())
		}
		seen = append(seen, name)
		if c.GetEnabled() == nil || c.GetEnabled().GetValue() {
			out = append(out, name)
		}
	}
	return out, nil
}

// MayUpgrade says whether requests of the route may change to a protocol. No route
// lets none.
func (e *Entry) MayUpgrade(to string) bool {
	return e != nil && slices.ContainsFunc(e.Upgrades, func(name string) bool { return strings.EqualFold(name, to) })
}
