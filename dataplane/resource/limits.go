package resource

import (
	"errors"
	"fmt"
	"math"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// limits reads what bounds the connections and requests of a cluster.
func (c *Cluster) limits(m *clusterv3.Cluster) error {
	if err := c.breaker(m.GetCircuitBreakers()); err != nil {
		return fmt.Errorf("circuit_breakers: %w", err)
	}
	if k := m.GetUpstreamConnectionOptions().GetTcpKeepalive(); k != nil {
		var err error
		if c.Template.Keepalive, err = keepalive(k); err != nil {
			return fmt.Errorf("upstream_connection_options: tcp_keepalive: %w", err)
		}
	}
	return nil
}

func (c *Cluster) breaker(b *clusterv3.CircuitBreakers) error {
	if n := len(b.GetThresholds()); n > 1 {
		return fmt.Errorf("thresholds: %d where one, of the default priority, is supported", n)
	}
	for _, t := range b.GetThresholds() {
		into := &c.Template
		for _, f := range []struct {
			name string
			said *wrapperspb.UInt32Value
			to   *uint32
		}{
			{"max_connections", t.GetMaxConnections(), &into.MaxConnections},
			{"max_pending_requests", t.GetMaxPendingRequests(), &into.MaxPending},
			{"max_requests", t.GetMaxRequests(), &into.MaxRequests},
			{"max_retries", t.GetMaxRetries(), &into.MaxRetries},
		} {
			if f.said != nil && f.said.GetValue() == 0 {
				return fmt.Errorf("%s: only values above 0 are supported", f.name)
			}
			*f.to = f.said.GetValue()
		}
		into.RetryBudget = retryBudget(t.GetRetryBudget())
	}
	return nil
}

// retryBudget fills in Envoy's defaults.
func retryBudget(b *clusterv3.CircuitBreakers_Thresholds_RetryBudget) *snapshot.RetryBudget {
	if b == nil {
		return nil
	}
	out := &snapshot.RetryBudget{Percent: 20, Min: 3}
	if p := b.GetBudgetPercent(); p != nil {
		out.Percent = p.GetValue()
	}
	if n := b.GetMinRetryConcurrency(); n != nil {
		out.Min = n.GetValue()
	}
	return out
}

// keepalive bounds the values as the kernel does.
func keepalive(k *corev3.TcpKeepalive) (*snapshot.Keepalive, error) {
	probes, idle, interval := k.GetKeepaliveProbes(), k.GetKeepaliveTime(), k.GetKeepaliveInterval()
	const maxProbes, maxSeconds = 127, math.MaxInt16
	switch {
	case probes != nil && (probes.GetValue() < 1 || probes.GetValue() > maxProbes):
		return nil, fmt.Errorf("keepalive_probes: %d is outside 1 to %d", probes.GetValue(), maxProbes)
	case idle != nil && (idle.GetValue() < 1 || idle.GetValue() > maxSeconds):
		return nil, fmt.Errorf("keepalive_time: %d is outside 1 to %d", idle.GetValue(), maxSeconds)
	case interval != nil && (interval.GetValue() < 1 || interval.GetValue() > maxSeconds):
		return nil, fmt.Errorf("keepalive_interval: %d is outside 1 to %d", interval.GetValue(), maxSeconds)
	}
	return &snapshot.Keepalive{
		Probes:   int(probes.GetValue()),
		Time:     time.Duration(idle.GetValue()) * time.Second,
		Interval: time.Duration(interval.GetValue()) * time.Second,
	}, nil
}

// connectionOptions reads how long and for how much one connection is used.
func (c *Cluster) connectionOptions(o *corev3.HttpProtocolOptions) error {
	if d := o.GetIdleTimeout(); d != nil {
		if c.Template.IdleTimeout = d.AsDuration(); c.Template.IdleTimeout <= 0 {
			c.Template.IdleTimeout = -1 // 0 switches it off
		}
	}
	if d := o.GetMaxConnectionDuration(); d != nil {
		if c.Template.MaxConnectionDuration = d.AsDuration(); c.Template.MaxConnectionDuration <= 0 {
			return errors.New("max_connection_duration: only values above 0 are supported")
		}
	}
	if o.GetMaxHeadersCount() != nil {
		return errors.New("max_headers_count is not supported")
	}
	c.Template.MaxRequestsPerConnection = o.GetMaxRequestsPerConnection().GetValue()
	return nil
}
