package engine

import (
	"sync/atomic"

	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// chainKey names a filter chain over configurations.
type chainKey struct{ listener, chain string }

// taken counts the connections of one filter chain that has a limit, of all loops
// together. It outlives a change of the configuration: the connections do.
type taken struct{ now atomic.Int64 }

// limits gives every chain of c with a limit its count: the one it has had, if any.
func (e *Engine) limits(c *snapshot.Config, old *prepared) map[chainKey]*taken {
	all := map[chainKey]*taken{}
	for name, l := range c.Listeners {
		for _, ch := range l.Chains {
			if ch.Limit == nil {
				continue
			}
			key := chainKey{name, ch.Name}
			if all[key] = old.limits[key]; all[key] == nil {
				all[key] = &taken{}
			}
		}
	}
	return all
}

// viewLimit joins a chain with its count.
func (w *worker) viewLimit(c *chainView, listener string, p *prepared) {
	if c.snap.Limit == nil {
		return
	}
	c.taken = p.limits[chainKey{listener, c.snap.Name}]
	prefix := telemetry.Label{Name: "envoy_connection_limit_prefix", Value: c.snap.Limit.StatPrefix}
	c.limited = w.e.reg.Counter("envoy_connection_limit_limited_connections", prefix).Shard(w.id)
	c.admitted = w.e.reg.Gauge("envoy_connection_limit_active_connections", prefix).Shard(w.id)
}

// admit counts a connection of c; false: it is beyond the limit.
func (d *dconn) admit(c *chainView) bool {
	if c.taken == nil {
		return true
	}
	if uint64(c.taken.now.Add(1)) > c.snap.Limit.Max {
		c.taken.now.Add(-1)
		c.limited.Inc()
		return false
	}
	c.admitted.Add(1)
	d.taken, d.admitted = c.taken, c.admitted
	return true
}

// yield makes room for another connection, once.
func (d *dconn) yield() {
	if d.taken != nil {
		d.taken.now.Add(-1)
		d.admitted.Add(-1)
		d.taken = nil
	}
}
