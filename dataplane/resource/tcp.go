package resource

import (
	"errors"
	"fmt"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/filter/rbac"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/snapshot"
)

const tcpPackage = "envoy.extensions.filters.network.tcp_proxy.v3."

var tcpMessages = []support.Message{
	{Name: tcpPackage + "TcpProxy", Fields: []support.Field{
		support.F("stat_prefix", "required"),
		support.F("cluster", ""),
		support.F("weighted_clusters", "drawn for each connection"),
		support.F("idle_timeout", "1 h when absent, 0 is none"),
		support.F("access_log", ""),
		support.Only("upstream_connect_mode", "a connection goes on to its cluster once the handshake is done and it is let in, always", "IMMEDIATE", "ON_DOWNSTREAM_TLS_HANDSHAKE"),
		support.F("max_early_data_bytes", "nothing is read before the cluster is connected"),
	}},
	{Name: tcpPackage + "TcpProxy.WeightedCluster", Fields: []support.Field{support.F("clusters", "the sum of the weights is at most 4294967295")}},
	{Name: tcpPackage + "TcpProxy.WeightedCluster.ClusterWeight", Fields: []support.Field{support.F("name", ""), support.F("weight", "above 0")}},
}

// maxWeight is the most that the weights of clusters may add up to, as in Envoy.
const maxWeight = 1<<32 - 1

// decodeTCP takes the filters of a chain that carries bytes, from the first: those
// that judge who connects, and a TCP proxy as the last.
func decodeTCP(filters []*listenerv3.Filter, first int, proxy *tcpproxyv3.TcpProxy) (*snapshot.TCP, error) {
	last := len(filters) - 1
	out, err := decodeProxy(proxy)
	if err != nil {
		return nil, fmt.Errorf("filters[%d]: %w", last, err)
	}
	for i, f := range filters[first:last] {
		guard, err := networkFilter(f)
		if err != nil {
			return nil, fmt.Errorf("filters[%d] %q: %w", first+i, f.GetName(), err)
		}
		out.Guards = append(out.Guards, guard)
	}
	return out, nil
}

func networkFilter(f *listenerv3.Filter) (filter.Network, error) {
	if f.GetTypedConfig() == nil {
		return nil, errors.New("needs a typed_config")
	}
	config, err := f.GetTypedConfig().UnmarshalNew()
	if err != nil {
		return nil, err
	}
	if m, ok := config.(*networkrbacv3.RBAC); ok {
		return rbac.DecodeNetwork(m)
	}
	return nil, fmt.Errorf("%s does not stand before a TCP proxy here", config.ProtoReflect().Descriptor().FullName())
}

func decodeProxy(m *tcpproxyv3.TcpProxy) (*snapshot.TCP, error) {
	out := &snapshot.TCP{StatPrefix: m.GetStatPrefix(), IdleTimeout: orNone(m.GetIdleTimeout())}
	switch {
	case out.StatPrefix == "":
		return nil, errors.New("stat_prefix: is empty")
	case m.GetIdleTimeout().AsDuration() < 0:
		return nil, errors.New("idle_timeout: is negative")
	}
	var err error
	if out.AccessLogs, err = accessLogs(m.GetAccessLog()); err != nil {
		return nil, err
	}
	if only := m.GetCluster(); only != "" {
		out.Clusters, out.Total = []snapshot.WeightedTCP{{Name: only, Weight: 1}}, 1
		return out, nil
	}
	for i, c := range m.GetWeightedClusters().GetClusters() {
		if c.GetName() == "" || c.GetWeight() == 0 {
			return nil, fmt.Errorf("weighted_clusters: clusters[%d]: needs a name and a weight above 0", i)
		}
		out.Clusters = append(out.Clusters, snapshot.WeightedTCP{Name: c.GetName(), Weight: c.GetWeight()})
		out.Total += uint64(c.GetWeight())
	}
	switch {
	case out.Total == 0:
		return nil, errors.New("needs cluster or weighted_clusters")
	case out.Total > maxWeight:
		return nil, fmt.Errorf("weighted_clusters: the weights add up to %d, the most is %d", out.Total, uint64(maxWeight))
	}
	return out, nil
}
