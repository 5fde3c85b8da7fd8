package xds

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	connectionlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const connectionLimitFilter = "envoy.filters.network.connection_limit"

// limitConnections puts the limit before whatever else a chain of l does: what is
// beyond is closed before it costs a handshake. Each chain counts by itself.
func limitConnections(l *listenerv3.Listener, most uint32) error {
	if most == 0 {
		return nil
	}
	limit, err := networkFilter(connectionLimitFilter, &connectionlimitv3.ConnectionLimit{
		StatPrefix: l.GetName(), MaxConnections: wrapperspb.UInt64(uint64(most)),
	})
	if err != nil {
		return err
	}
	for _, c := range l.GetFilterChains() {
		c.Filters = append([]*listenerv3.Filter{limit}, c.GetFilters()...)
	}
	return nil
}
