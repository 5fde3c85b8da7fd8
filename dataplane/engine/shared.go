package engine

import (
	"sync/atomic"
	"time"

	"github.com/meshc/meshc/dataplane/cluster"
	"github.com/meshc/meshc/dataplane/endpoint"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// shared is what loops share about one cluster: its state, and which loops have
// still to hear that it has changed.
type shared struct {
	*cluster.State
	told []atomic.Bool // by loop: a notice is under way
}

// states gives every cluster of c its state: the one it has had if the cluster is
// the same but for its endpoints.
func (e *Engine) states(c *snapshot.Config, old *prepared) map[poolKey]*shared {
	all := make(map[poolKey]*shared, len(c.Clusters))
	for _, cl := range c.Clusters {
		key := poolKey{cl.Name, cl.Digest}
		st := old.states[key]
		if st == nil {
			st = &shared{told: make([]atomic.Bool, len(e.workers))}
			st.State = cluster.New(cl, cluster.Deps{Clock: clock{e.base}, Telemetry: e.reg, Changed: func() { e.rebalance(key, st) }})
		}
		st.Update(cl)
		all[key] = st
	}
	return all
}

// forgetTables lets go of what only former endpoints needed, which no loop looks at
// any more.
func (p *prepared) forgetTables() {
	for _, cl := range p.config.Clusters {
		p.states[poolKey{cl.Name, cl.Digest}].ForgetTables(cl)
	}
}

// closeGone ends the states that next does not have.
func closeGone(old, next *prepared) {
	for key, st := range old.states {
		if next.states[key] != st {
			st.Close()
		}
	}
}

// rebalance has every loop look anew at which endpoints are well. Several changes
// may be taken in by one look.
func (e *Engine) rebalance(key poolKey, st *shared) {
	for i, w := range e.workers {
		if st.told[i].CompareAndSwap(false, true) {
			w.do(func() {
				st.told[i].Store(false)
				w.rebalance(key)
			})
		}
	}
}

func (w *worker) rebalance(key poolKey) {
	for _, v := range []*clusterView{w.view.clusters[key.name], w.coming[key.name]} {
		if v != nil && v.pool.key == key {
			v.picker = w.newPicker(v)
		}
	}
}

func (w *worker) newPicker(v *clusterView) *endpoint.Picker {
	w.members(v)
	return endpoint.New(v.snap, v, time.Duration(w.now), w.draw(), func(usable []int) endpoint.Table { return v.pool.state.Table(v.snap, usable) })
}

// pick chooses an endpoint, and counts where health is ignored.
func (c *clusterView) pick(a *endpoint.Ask) int {
	i := c.picker.Pick(a)
	if c.picker.Panic() {
		c.pool.stats.panics.Inc()
	}
	return i
}

// Active makes a clusterView the endpoint.Load of its picker.
func (c *clusterView) Active(i int) int {
	if h := c.hosts[i]; h.known == nil {
		return h.active
	}
	return c.hosts[i].known.Active()
}

// Well and Since make a clusterView the endpoint.Health of its picker.
func (c *clusterView) Well(i int) bool { return c.hosts[i].known.Well() }

// Pending implements endpoint.Health.
func (c *clusterView) Pending(i int) bool { return c.hosts[i].known.Pending() }

// Since implements endpoint.Health.
func (c *clusterView) Since(i int) time.Duration { return c.hosts[i].known.Since() }

// clock is the loops' time, for what runs beside them.
type clock struct{ base time.Time }

// Now implements cluster.Clock.
func (c clock) Now() time.Duration { return time.Since(c.base) }

// AfterFunc implements cluster.Clock.
func (c clock) AfterFunc(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

var (
	_ endpoint.Load   = (*clusterView)(nil)
	_ endpoint.Health = (*clusterView)(nil)
	_ cluster.Clock   = clock{}
)
