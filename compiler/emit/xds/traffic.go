package xds

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/model"
)

// setTraffic says on a cluster how callers treat its endpoints.
func setTraffic(c *clusterv3.Cluster, t *model.Traffic) error {
	if t == nil {
		return nil
	}
	c.ConnectTimeout = duration(t.ConnectTimeout)
	c.CircuitBreakers = circuitBreakers(t)
	c.OutlierDetection = outlierDetection(t.Outliers)
	setHealth(c, t.Health)
	setBalance(c, t.Balance)
	if t.Connections == nil {
		return nil
	}
	if k := t.Connections.Keepalive; k != nil {
		c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: keepalive(k)}
	}
	options, err := connectionOptions(t.Connections)
	if err != nil {
		return err
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptions: options}
	return nil
}

// connectionOptions limit what one connection is used for.
func connectionOptions(c *model.Connections) (*anypb.Any, error) {
	common := &corev3.HttpProtocolOptions{IdleTimeout: duration(c.Idle)}
	if c.MaxAge > 0 {
		common.MaxConnectionDuration = duration(c.MaxAge)
	}
	if c.RequestsPerConnection > 0 {
		common.MaxRequestsPerConnection = uint32Value(c.RequestsPerConnection)
	}
	return toAny(&httpv3.HttpProtocolOptions{
		CommonHttpProtocolOptions: common,
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
					HttpProtocolOptions: &corev3.Http1ProtocolOptions{},
				},
			},
		},
	})
}

func keepalive(k *model.Keepalive) *corev3.TcpKeepalive {
	out := &corev3.TcpKeepalive{}
	if k.Probes > 0 {
		out.KeepaliveProbes = uint32Value(k.Probes)
	}
	if k.Time > 0 {
		out.KeepaliveTime = uint32Value(uint32(k.Time / time.Second))
	}
	if k.Interval > 0 {
		out.KeepaliveInterval = uint32Value(uint32(k.Interval / time.Second))
	}
	return out
}

// circuitBreakers is nil when nothing is limited otherwise than by default.
// With a retry budget Envoy does not look at max_retries, so it is left out.
func circuitBreakers(t *model.Traffic) *clusterv3.CircuitBreakers {
	if t.Connections == nil && t.RetryBudget == nil {
		return nil
	}
	limits := &clusterv3.CircuitBreakers_Thresholds{}
	if c := t.Connections; c != nil {
		limits.MaxConnections = uint32Value(c.Max)
		limits.MaxPendingRequests = uint32Value(c.MaxPending)
		limits.MaxRequests = uint32Value(c.MaxRequests)
		if t.RetryBudget == nil {
			limits.MaxRetries = uint32Value(c.MaxRetries)
		}
	}
	if b := t.RetryBudget; b != nil {
		limits.RetryBudget = &clusterv3.CircuitBreakers_Thresholds_RetryBudget{
			BudgetPercent:       wholePercent(b.BasisPoints),
			MinRetryConcurrency: uint32Value(b.MinConcurrency),
		}
	}
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{limits}}
}
