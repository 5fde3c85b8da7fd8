package engine

import (
	"crypto/tls"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/dataplane/endpoint"
	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/http1"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// view is one Config as one loop sees it. A stream keeps the view it began with.
type view struct {
	listeners map[string]*listenerView
	takers    map[netip.AddrPort]*listenerView // by where connections were going, if any are handed on
	clusters  map[string]*clusterView
	aside     *chainView // of the proxy's own requests
}

type listenerView struct {
	snap   *snapshot.Listener
	chains map[uint16][]*chainView // by local port; 0: every other
	byName bool                    // some chain is for certain server names
}

// chainView is a filter chain with its defaults filled in.
type chainView struct {
	view      *view // the one it belongs to: a drained connection keeps both
	snap      *snapshot.Chain
	http      *snapshot.HTTP
	tls       *tls.Config
	limits    http1.Limits
	idle      int64 // ns
	head      int64
	handshake int64
	stream    int64
	maxAge    int64 // of a connection; 0: none
	logs      []logTarget
	trace     *traceTarget // nil: no spans
	stats     *httpStats   // of http
	tcp       *tcpView     // in place of http
	conns     *connStats
	taken     *taken // nil: no limit of connections
	limited   *telemetry.Cell
	admitted  *telemetry.Cell
	traffic   traffic
	routes    map[*route.Entry]*routeStats // of those that requests have come by

	filterCounts [][]filter.Counter // of each of http.Filters
	responders   []responder        // of them, in the order in which they are asked
}

// clusterView joins a Cluster with the loop's pool of it.
type clusterView struct {
	snap   *snapshot.Cluster
	pool   *pool
	hosts  []*host // as snap.Endpoints
	picker *endpoint.Picker
}

func orDefault(d, fallback time.Duration) int64 {
	if d == 0 {
		d = fallback
	}
	return int64(d)
}

// never is a time that does not come, small enough to be added to.
const never = int64(1) << 60

// orNever takes what is below 0 for no limit.
func orNever(d int64) int64 {
	if d < 0 {
		return never
	}
	return d
}

// adopt makes p the configuration of all requests that start from now on.
func (w *worker) adopt(p *prepared) {
	next := &view{
		listeners: make(map[string]*listenerView, len(p.config.Listeners)),
		clusters:  make(map[string]*clusterView, len(p.config.Clusters)),
	}
	for name, l := range p.config.Listeners {
		next.listeners[name] = w.viewListener(l, p, next)
	}
	next.aside = newAside(next)
	next.findTakers()
	for name := range p.config.Clusters {
		next.clusters[name] = w.view.clusters[name]
	}
	maps.Copy(next.clusters, w.coming)
	w.moveListeners(p)
	old := w.view
	w.view = next
	for name, v := range w.coming {
		if was := old.clusters[name]; was != nil && was.pool == v.pool {
			v.keepHosts()
		}
	}
	clear(w.coming)
	w.closeGonePools(next)
	w.drainGoneConns()
}

func (w *worker) viewListener(l *snapshot.Listener, p *prepared, next *view) *listenerView {
	v := &listenerView{snap: l, chains: make(map[uint16][]*chainView)}
	for _, ch := range l.Chains {
		c := &chainView{view: next, snap: ch, tls: ch.TLS, handshake: orDefault(ch.HandshakeTimeout, 10*time.Second)}
		if ch.TCP != nil {
			w.viewTCP(c, ch.TCP, p)
		} else {
			w.viewHTTP(c, ch.HTTP, p)
		}
		w.viewLimit(c, l.Name, p)
		v.chains[ch.Port] = append(v.chains[ch.Port], c)
		v.byName = v.byName || len(ch.ServerNames) > 0
	}
	return v
}

func (w *worker) viewTCP(c *chainView, t *snapshot.TCP, p *prepared) {
	c.tcp = &tcpView{snap: t, idle: orNever(orDefault(t.IdleTimeout, time.Hour)), logs: p.logs[c.snap], stats: w.newTCPStats(t.StatPrefix)}
	c.conns = &c.tcp.stats.connStats
}

func (w *worker) viewHTTP(c *chainView, h *snapshot.HTTP, p *prepared) {
	c.http, c.limits = h, http1.DefaultLimits
	c.idle = orNever(orDefault(h.IdleTimeout, time.Hour))
	c.head = orNever(orDefault(h.RequestHeadersTimeout, 10*time.Second))
	c.maxAge = int64(h.MaxConnectionDuration)
	c.stream = orDefault(h.StreamIdleTimeout, 5*time.Minute)
	c.logs, c.trace, c.stats = p.logs[c.snap], p.traces[c.snap], w.newHTTPStats(h.StatPrefix)
	c.conns = &c.stats.connStats
	c.filterCounts = w.filterCounts(h)
	c.responders = respondersOf(h.Filters)
	if h.MaxHeaders > 0 {
		c.limits.Fields = h.MaxHeaders
	}
	if h.MaxRequestHeadersKiB > 0 {
		c.limits.HeadBytes = h.MaxRequestHeadersKiB << 10
	}
}

// atOnce is how many clusters a loop looks at in one turn, which takes it about
// 0.3 ms: requests are served in between.
const atOnce = 64

// prepareClusters makes the loops ready for the clusters of next that are not as they were.
// Those that are keep their view: their place in the round robin, and the work.
func (e *Engine) prepareClusters(next *prepared) {
	var changed []*snapshot.Cluster
	for name, c := range next.config.Clusters {
		if old := e.current.config.Clusters[name]; old == nil || !alike(old, c) {
			changed = append(changed, c)
		}
	}
	for some := range slices.Chunk(changed, atOnce) {
		e.everywhere(func(w *worker) {
			for _, c := range some {
				w.coming[c.Name] = w.viewCluster(c, next)
			}
		})
	}
}

func alike(a, b *snapshot.Cluster) bool {
	return a.Digest == b.Digest && a.TLS == b.TLS && a.Overprovisioning == b.Overprovisioning && slices.Equal(a.Endpoints, b.Endpoints)
}

func (w *worker) viewCluster(c *snapshot.Cluster, all *prepared) *clusterView {
	p := w.poolOf(c, all.states[poolKey{c.Name, c.Digest}], all.stats[c.Name][w.id])
	v := &clusterView{snap: c, pool: p}
	for _, e := range c.Endpoints {
		v.hosts = append(v.hosts, p.host(e.Addr))
	}
	v.picker = w.newPicker(v)
	return v
}

// keepHosts ends what the pool has for endpoints that are gone.
func (v *clusterView) keepHosts() {
	keep := make(map[netip.AddrPort]bool, len(v.snap.Endpoints))
	for _, e := range v.snap.Endpoints {
		keep[e.Addr] = true
	}
	v.pool.keepOnly(keep)
}

// moveListeners starts and stops accepting. A socket that goes from one
// listener to another at the same address keeps its queue.
func (w *worker) moveListeners(p *prepared) {
	names := make(map[*boundListener]string, len(p.listeners))
	for at, b := range p.listeners {
		names[b] = at.listener
	}
	for b, a := range w.listeners {
		if name, ok := names[b]; ok {
			a.name = name
			delete(names, b)
		} else {
			a.stop()
		}
	}
	for b, name := range names {
		w.newAcceptor(name, b)
	}
}

// drainGoneConns drains the connections whose listener is gone, or whose chain
// now demands another transport: their peer was judged by rules that no longer
// hold.
func (w *worker) drainGoneConns() {
	for d := w.conns.first; d != nil; d = d.next {
		switch {
		case d.tunnel != nil:
			d.tunnel.refresh()
		case !d.refresh():
			d.drain()
		}
	}
}

// pick chooses the chain for a local port, a server name, "" when the client names
// none, a transport protocol, "tls" or "raw_buffer", and a client's address. As in
// Envoy, the port decides first, then the name, then the protocol, then the address:
// a chain with a worse name does not stand in for a transport protocol, nor one for
// every port for one for this.
func (l *listenerView) pick(port uint16, serverName, protocol string, from netip.Addr) *chainView {
	chains, ok := l.chains[port]
	if !ok {
		chains = l.chains[0]
	}
	best := -1
	for _, c := range chains {
		best = max(best, nameRank(c.snap.ServerNames, serverName))
	}
	if best < 0 {
		return nil
	}
	var found *chainView
	like, longest := "", -1 // the transport protocol that decides is that of the first which fits
	for _, c := range chains {
		p := c.snap.TransportProtocol
		if p != "" && p != protocol || nameRank(c.snap.ServerNames, serverName) != best {
			continue
		}
		if longest == -1 {
			like, longest = p, 0
		}
		if r := sourceRank(c.snap.Sources, from); p == like && r > longest {
			found, longest = c, r
		}
	}
	return found
}

// sourceRank says how well a chain's networks of clients fit: the longest best,
// then none at all; 0 is that they do not fit.
func sourceRank(networks []netip.Prefix, from netip.Addr) int {
	if len(networks) == 0 {
		return 1
	}
	best := 0
	for _, n := range networks {
		if n.Contains(from) {
			best = max(best, n.Bits()+2)
		}
	}
	return best
}

// nameRank says how well a chain's names fit: the whole name best, then the
// longest wildcard, then no names at all; below 0 they do not fit.
func nameRank(names []string, name string) int {
	if len(names) == 0 {
		return 0
	}
	best := -1
	for _, n := range names {
		suffix, wild := strings.CutPrefix(n, "*")
		switch {
		case n == name:
			return math.MaxInt
		case wild && len(name) > len(suffix) && strings.HasSuffix(name, suffix):
			best = max(best, len(suffix))
		}
	}
	return best
}

func (w *worker) drain() {
	for _, a := range w.listeners {
		a.stop()
	}
	for d := w.conns.first; d != nil; d = d.next {
		d.drain()
	}
	w.e.noteConn(0)
}

func (w *worker) stop() {
	w.stopped = true
	for _, a := range w.listeners {
		a.stop()
	}
	for w.conns.first != nil {
		w.conns.first.close()
	}
	for c := range w.shadows {
		c.cut()
	}
	for _, p := range w.pools {
		p.close()
	}
	w.logs.flush()
}

// noteConn counts connections and wakes Drain when the last is gone.
func (e *Engine) noteConn(n int64) {
	if e.conns.Add(n) == 0 {
		select {
		case e.drained <- struct{}{}:
		default:
		}
	}
}
