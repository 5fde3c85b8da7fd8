package resource

import (
	"errors"
	"fmt"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	connectionlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"

	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/snapshot"
)

var connectionLimitMessages = []support.Message{
	{Name: "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit", Fields: []support.Field{
		support.F("stat_prefix", "required; the chain must have a name of its own"),
		support.F("max_connections", "above 0; connections that are there when the configuration changes count on"),
	}},
}

// nameLimits refuses limited chains that could not be told apart from one
// configuration to the next, and would share a count.
func nameLimits(chains []*Chain) error {
	seen := make(map[string]bool)
	for i, c := range chains {
		switch {
		case c.Limit == nil:
		case c.Name == "":
			return fmt.Errorf("filter_chains[%d]: name: a chain with a limit of connections needs one", i)
		case seen[c.Name]:
			return fmt.Errorf("filter_chains[%d]: name: %q is another chain's, and both have a limit of connections", i, c.Name)
		default:
			seen[c.Name] = true
		}
	}
	return nil
}

// limit reads a limit of connections; false: f is something else.
func (c *Chain) limit(f *listenerv3.Filter) (bool, error) {
	var m connectionlimitv3.ConnectionLimit
	if !f.GetTypedConfig().MessageIs(&m) {
		return false, nil
	}
	if err := f.GetTypedConfig().UnmarshalTo(&m); err != nil {
		return false, err
	}
	switch {
	case m.GetStatPrefix() == "":
		return false, errors.New("stat_prefix: is empty")
	case m.GetMaxConnections().GetValue() == 0:
		return false, errors.New("max_connections: needs a value above 0")
	}
	c.Limit = &snapshot.ConnectionLimit{StatPrefix: m.GetStatPrefix(), Max: m.GetMaxConnections().GetValue()}
	return true, nil
}
