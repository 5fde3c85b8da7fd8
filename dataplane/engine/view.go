package engine

import (
	"crypto/tls"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/dataplane/endpoint"
	"github.com/meshc/meshc/dataplane/http1"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// view is one Config as one loop sees it. A stream keeps the view it began with.
type view struct {
	listeners map[string]*listenerView
	takers    map[netip.AddrPort]*listenerView // by where connections were going, if any are handed on
	clusters  map[string]*clusterView
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
	stats     *httpStats // of http
	tcp       *tcpView   // in place of http
	conns     *connStats
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
	next.findTakers()
	for name, c := range p.config.Clusters {
		next.clusters[name] = w.viewCluster(c, w.view.clusters[name], p.states[poolKey{c.Name, c.Digest}])
	}
	w.moveListeners(p)
	w.view = next
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
	c.logs, c.stats = p.logs[c.snap], w.newHTTPStats(h.StatPrefix)
	c.conns = &c.stats.connStats
	if h.MaxHeaders > 0 {
		c.limits.Fields = h.MaxHeaders
	}
	if h.MaxRequestHeadersKiB > 0 {
		c.limits.HeadBytes = h.MaxRequestHeadersKiB << 10
	}
}

// viewCluster keeps old when nothing changed: its place in the round robin, and
// the work.
func (w *worker) viewCluster(c *snapshot.Cluster, old *clusterView, st *shared) *clusterView {
	if old != nil && old.snap.Digest == c.Digest && old.snap.TLS == c.TLS && slices.Equal(old.snap.Endpoints, c.Endpoints) {
		return old
	}
	p := w.poolOf(c, st)
	v := &clusterView{snap: c, pool: p}
	keep := make(map[netip.AddrPort]bool, len(c.Endpoints))
	for _, e := range c.Endpoints {
		v.hosts = append(v.hosts, p.host(e.Addr))
		keep[e.Addr] = true
	}
	p.keepOnly(keep)
	v.picker = w.newPicker(v)
	return v
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
// none, and a transport protocol, "tls" or "raw_buffer". As in Envoy, the port
// decides first, then the name: a chain with a worse name does not stand in for a
// transport protocol, nor one for every port for one for this.
func (l *listenerView) pick(port uint16, serverName, protocol string) *chainView {
	chains, ok := l.chains[port]
	if !ok {
		chains = l.chains[0]
	}
	best := -1
	for _, c := range chains {
		best = max(best, nameRank(c.snap.ServerNames, serverName))
	}
	for _, c := range chains {
		if p := c.snap.TransportProtocol; (p == "" || p == protocol) && best >= 0 && nameRank(c.snap.ServerNames, serverName) == best {
			return c
		}
	}
	return nil
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
