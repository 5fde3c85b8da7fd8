package xds

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshc/meshc/compiler/model"
)

// setTraffic says on a cluster how callers treat its endpoints.
func setTraffic(c *clusterv3.Cluster, t *model.Traffic) {
	if t == nil {
		return
	}
	c.ConnectTimeout = duration(t.ConnectTimeout)
	c.CircuitBreakers = circuitBreakers(t)
	c.OutlierDetection = outlierDetection(t.Outliers)
	setHealth(c, t.Health)
	setBalance(c, t.Balance)
	setLocality(c, t.Locality)
	if t.Connections != nil && t.Connections.Keepalive != nil {
		c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: keepalive(t.Connections.Keepalive)}
	}
}

// connections of a cluster's traffic settings, or nil.
func connections(t *model.Traffic) *model.Connections {
	if t == nil {
		return nil
	}
	return t.Connections
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
