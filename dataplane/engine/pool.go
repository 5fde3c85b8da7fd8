package engine

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"time"

	"github.com/meshc/meshc/dataplane/cluster"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// pool is one loop's connections to one cluster. It lives as long as a cluster
// of its name and digest is configured, whatever happens to the endpoints.
type pool struct {
	w              *worker
	key            poolKey
	snap           *snapshot.Cluster // the newest
	brk            *cluster.Breaker
	state          *shared
	stats          *clusterStats
	hosts          map[netip.AddrPort]*host
	connectTimeout int64
	idleTimeout    int64       // below 0: none
	maxAge         int64       // 0: none
	h2TLSOf, h2TLS *tls.Config // what muxTLS was made of, and it
}

// host is one endpoint of a pool.
type host struct {
	pool   *pool
	addr   netip.AddrPort
	text   string
	idle   []*uconn // the one used last is at the end and is used next
	queue  []*stream
	muxes  []*umux // HTTP/2 connections that take streams, or will
	conns  int
	active int           // requests in flight
	known  *cluster.Host // by all loops; nil: nothing needs to be
	gone   bool
	counts *hostStats // nil: nobody asks for them

	told  []*host // for a client's connection each, where the server is told of it
	whole *host   // of such a one: that which it is of
	place int     // of such a one: among whole.told
	hello []byte  // what its connections begin with
}

func (w *worker) poolOf(c *snapshot.Cluster, st *shared, stats *clusterStats) *pool {
	key := poolKey{c.Name, c.Digest}
	p := w.pools[key]
	if p == nil {
		p = &pool{
			w: w, key: key, snap: c, brk: st.Breaker, state: st, hosts: map[netip.AddrPort]*host{},
			stats:          stats,
			connectTimeout: orDefault(c.ConnectTimeout, 5*time.Second),
			idleTimeout:    orDefault(c.IdleTimeout, time.Hour),
			maxAge:         int64(c.MaxConnectionDuration),
		}
		w.pools[key] = p
	}
	// The digest covers the names of secrets, not what is in them: connections
	// made from now on use the newest TLS configuration.
	p.snap = c
	return p
}

func (p *pool) host(addr netip.AddrPort) *host {
	h := p.hosts[addr]
	if h == nil {
		h = &host{pool: p, addr: addr, text: addr.String(), known: p.state.Host(addr)}
		h.counts = p.countHost(h.text)
		p.hosts[addr] = h
	}
	return h
}

// keepOnly retires the endpoints that are gone: idle connections close now,
// busy ones when their exchange is over.
func (p *pool) keepOnly(keep map[netip.AddrPort]bool) {
	for addr, h := range p.hosts {
		if !keep[addr] {
			h.retire()
			delete(p.hosts, addr)
		}
	}
}

// multiplexes says whether s goes over HTTP/2.
func (p *pool) multiplexes(s *stream) bool {
	switch p.snap.Protocol {
	case snapshot.UpstreamHTTP2:
		return true
	case snapshot.UpstreamAsDownstream:
		return s.req.protocol == message.HTTP2
	}
	return false
}

func (p *pool) close() { p.keepOnly(nil) }

func (w *worker) closeGonePools(v *view) {
	used := make(map[*pool]bool, len(v.clusters))
	for _, c := range v.clusters {
		used[c.pool] = true
	}
	for key, p := range w.pools {
		if !used[p] {
			p.close()
			delete(w.pools, key)
		}
	}
}

func (h *host) retire() {
	h.gone = true
	for _, own := range h.told {
		own.retire()
	}
	h.told = nil
	for len(h.idle) > 0 {
		h.idle[len(h.idle)-1].close()
	}
	h.leaveMuxes()
}

// acquire gets s a connection: an idle one, a new one, or a place in the queue
// (Envoy's connection pool: pending requests first, then connections).
func (h *host) acquire(s *stream) {
	brk := h.pool.brk
	h.active++
	h.known.Begin()
	if !brk.Requests.Free() {
		h.overflow(s)
		return
	}
	if h.pool.multiplexes(s) {
		h.acquireMux(s)
		return
	}
	for len(h.idle) > 0 && !s.retry.fresh {
		u := h.idle[len(h.idle)-1]
		h.idle[len(h.idle)-1] = nil
		h.idle = h.idle[:len(h.idle)-1]
		if u.alive() {
			u.attach(s)
			return
		}
		u.phase = upActive
		u.close()
	}
	switch {
	case !brk.Pending.Free():
		h.overflow(s)
	case brk.Connections.Free() || h.conns == 0:
		// Every loop may have one connection per endpoint, as in Envoy:
		// otherwise it could wait for ever on those of the others.
		brk.Pending.Take()
		h.connect(s)
	default:
		h.pool.stats.cxOverflow.Inc()
		brk.Pending.Take()
		s.waiting = true
		h.queue = append(h.queue, s)
	}
}

// forget is called once for every acquire, when s is done with the endpoint.
func (h *host) forget(s *stream) {
	h.active--
	h.known.End()
	if s.waiting {
		s.waiting = false
		h.pool.brk.Pending.Release()
		if i := slices.Index(h.queue, s); i >= 0 {
			h.queue = slices.Delete(h.queue, i, i+1)
		}
	}
}

// overflow turns s away: a limit of the cluster is reached.
func (h *host) overflow(s *stream) {
	h.pool.stats.pendingOverflow.Inc()
	s.fail(failOverflow)
}

// put takes a connection whose exchange is over, or that was made for a stream
// that must not start now.
func (h *host) put(u *uconn) {
	for s := h.dequeue(); s != nil; s = h.dequeue() {
		s.d.again()
		if h.pool.brk.Requests.Free() {
			u.attach(s)
			return
		}
		h.overflow(s)
	}
	h.idle = append(h.idle, u)
	u.w.timers.set(&u.timer, u.idleUntil())
}

func (h *host) dequeue() *stream {
	if len(h.queue) == 0 {
		return nil
	}
	s := h.queue[0]
	h.queue = slices.Delete(h.queue, 0, 1)
	s.waiting = false
	h.pool.brk.Pending.Release()
	return s
}

func (h *host) remove(u *uconn) {
	if i := slices.Index(h.idle, u); i >= 0 {
		h.idle = slices.Delete(h.idle, i, i+1)
	}
}

func (h *host) opened() {
	h.conns++
	h.pool.state.Used()
	h.pool.brk.Connections.Take()
	h.pool.stats.cxTotal.Inc()
	h.pool.stats.cxActive.Add(1)
	if h.counts != nil {
		h.counts.cxTotal.Inc()
		h.counts.cxActive.Add(1)
	}
}

func (h *host) countClosed() {
	h.conns--
	h.pool.brk.Connections.Release()
	h.pool.stats.cxActive.Add(-1)
	if h.counts != nil {
		h.counts.cxActive.Add(-1)
	}
}

// closed makes room for one that waits.
func (h *host) closed() {
	h.countClosed()
	for s := h.dequeue(); s != nil; s = h.dequeue() {
		h.pool.brk.Pending.Take()
		s.d.again()
		if h.connect(s) || h.conns > 0 {
			return
		}
		// Nothing would ever wake the others: they fail one by one as this did.
	}
}

func (h *host) started() {
	h.pool.brk.Requests.Take()
	h.pool.stats.rqTotal.Inc()
	h.pool.stats.rqActive.Add(1)
	if h.counts != nil {
		h.counts.rqTotal.Inc()
		h.counts.rqActive.Add(1)
	}
}

func (h *host) finished() {
	h.pool.brk.Requests.Release()
	h.pool.stats.rqActive.Add(-1)
	if h.counts != nil {
		h.counts.rqActive.Add(-1)
	}
}
