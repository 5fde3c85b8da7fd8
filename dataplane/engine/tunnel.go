package engine

import (
	"time"

	"github.com/meshc/meshc/dataplane/endpoint"
	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// tunnel is the life of one connection whose bytes are not read:
//
//	letsIn  → the guards, before anything is done for the client
//	attempt → cluster by weight, endpoint, connection
//	relay   → bytes both ways; each end closes for itself
//	end     → counters, access log
//
// What it reads goes straight into the other side's socket; only what that does
// not take is kept, and nothing more is read until it has: one buffer per
// direction at most, and none where both sides keep up.
type tunnel struct {
	d     *dconn
	start int64

	cluster  *clusterView
	name     string // of the cluster
	host     *host
	hostText string
	up       *tunnelUp
	asked    filter.Connection

	received, sent int64 // from and to the client
	fromClient     flow
	fromServer     flow
	lastMove       int64
	capAt          int64 // the latest end of a connection that is drained; 0: none
	flags          string
	over           bool
	counted        countedTunnel
}

// flow is how far one direction has come.
type flow struct {
	ended  bool // nothing more comes from the source
	told   bool // and the destination has it all
	broken bool // the source was reset, or the destination takes no more
	lost   bool // the destination takes no more
}

func (f *flow) breaks() { f.ended, f.told, f.broken, f.lost = true, true, true, true }

// waits says that the destination has still to take something.
func (f *flow) waits(to *sock) bool { return !f.lost && to.pendingOut() }

// openTunnel begins with a connection whose peer is known.
func (d *dconn) openTunnel() {
	t := &tunnel{d: d, start: d.w.now, lastMove: d.w.now, asked: filter.Connection{Peer: d.peer}}
	d.tunnel = t
	d.w.timers.set(&d.timer, 0) // of the handshake
	if d.drainAt != 0 {
		// The rules may have changed while the handshake was under way.
		t.capAt = d.w.now + int64(d.w.e.opts.DrainCap)
		if t.refresh(); d.closed {
			return
		}
	}
	if !d.chain.tcp.letsIn(&t.asked) {
		d.chain.tcp.stats.denied.Inc()
		t.refuse("")
		return
	}
	t.attempt()
}

// letsIn asks the guards in order.
func (v *tcpView) letsIn(c *filter.Connection) bool {
	for _, g := range v.snap.Guards {
		if g.OnConnection(c) != "" {
			return false
		}
	}
	return true
}

// attempt connects to an endpoint, once: Envoy's max_connect_attempts is 1.
func (t *tunnel) attempt() {
	w, view := t.d.w, t.d.chain.view
	t.name = t.d.chain.tcp.snap.Pick(w.draw())
	t.cluster = view.clusters[t.name]
	if t.cluster == nil {
		t.d.chain.tcp.stats.noRoute.Inc()
		t.refuse("NC")
		return
	}
	t.countOpen()
	c := t.cluster
	// A connection of bytes does not end because another waits: who waited would
	// wait for ever (Envoy's TcpProxy::Filter::establishUpstreamConnection).
	if !c.pool.brk.Connections.Free() {
		c.pool.stats.cxOverflow.Inc()
		t.refuse("UO")
		return
	}
	if !c.pool.brk.Pending.Free() {
		c.pool.stats.pendingOverflow.Inc()
		t.refuse("UO")
		return
	}
	i := c.pick(&endpoint.Ask{Draw: w.draw, Load: c, Now: time.Duration(w.now), Hash: w.draw()})
	if i < 0 {
		c.pool.stats.noneHealthy.Inc()
		t.refuse("UH")
		return
	}
	t.host = c.hosts[i].of(&t.d.peerInfo)
	t.hostText = t.host.text
	t.host.active++
	t.host.known.Begin()
	if !t.host.connectTunnel(t) {
		t.host.known.Failed()
		t.unreached()
	}
}

// unreached ends a tunnel whose endpoint cannot be connected to. The second flag
// says that there is no other attempt.
func (t *tunnel) unreached() {
	t.host.connectFailed()
	t.refuse("UF,URX")
}

// refuse ends the connection without a byte.
func (t *tunnel) refuse(flag string) {
	t.flags = flag
	if t.d.readable || t.d.hup {
		// Closing over unread input resets: who is refused has lost nothing by it,
		// but is to see an end.
		t.finish()
		t.d.startLinger()
		return
	}
	t.d.close()
}

// run goes on with both directions until neither can.
func (t *tunnel) run() {
	u := t.up
	if u == nil || u.phase != upActive {
		if t.d.hup && t.gone() {
			t.d.close()
		}
		return
	}
	for range maxTurns {
		stats := t.d.chain.tcp.stats
		down := t.move(&u.sock, &t.d.sock, &t.fromServer, &t.sent, stats.sent)
		up := t.move(&t.d.sock, &u.sock, &t.fromClient, &t.received, stats.received)
		if down || up {
			t.lastMove = t.d.w.now
			continue
		}
		if !t.fromServer.waits(&t.d.sock) && !t.fromClient.waits(&u.sock) && t.done() {
			return
		}
		t.rest()
		return
	}
	t.d.w.later(t.d)
}

// done ends a tunnel that has carried all there was. What has broken off is not to
// be taken for whole by either side.
func (t *tunnel) done() bool {
	switch server, client := &t.fromServer, &t.fromClient; {
	case server.told && server.broken, client.told && client.broken:
		t.cut()
	case server.told && client.told:
		t.d.close()
	default:
		return false
	}
	return true
}

// gone says that the client has reset the connection; one that has only ended
// its side still waits for an answer.
func (t *tunnel) gone() bool {
	return t.d.unconnected()
}

// move takes one piece from one side to the other, if the other has taken all of
// the last.
func (t *tunnel) move(from, to *sock, f *flow, count *int64, total *telemetry.Cell) (moved bool) {
	if f.waits(to) {
		left := to.waits()
		switch to.flush() {
		case ioAgain:
			if to.waits() < left { // slow, and not idle
				t.lastMove = t.d.w.now
			}
			return false
		case ioError:
			f.breaks()
			return true
		}
	}
	switch {
	case f.told:
		return false
	case f.ended:
		f.told = true
		if !f.broken && to.endOutput() == ioError {
			f.breaks()
		}
		return true
	}
	buf := t.d.w.relayBuffer()
	n, st := from.fill(buf)
	*count += int64(n)
	total.Add(int64(n))
	f.ended = st == ioEOF || st == ioError
	f.broken = st == ioError
	if n > 0 && to.send(buf[:n]) == ioError {
		f.breaks()
	}
	return n > 0 || f.ended
}

// rest waits for bytes, for as long as that may take.
func (t *tunnel) rest() {
	t.countBytes()
	at := t.lastMove + t.d.chain.tcp.idle
	if t.capAt != 0 {
		at = min(at, t.capAt)
	}
	t.d.w.timers.set(&t.d.timer, at)
}

func (t *tunnel) onTimer() {
	now, stats := t.d.w.now, t.d.chain.tcp.stats
	switch {
	case t.capAt != 0 && now >= t.capAt:
		stats.drained.Inc()
	case now-t.lastMove >= t.d.chain.tcp.idle:
		stats.idle.Inc()
	default:
		t.rest()
		return
	}
	t.d.close()
}

// drain lets the connection go on for a while: nothing tells either end that it
// should come to one.
func (t *tunnel) drain() {
	if t.capAt != 0 || t.over {
		return
	}
	t.capAt = t.d.w.now + int64(t.d.w.e.opts.DrainCap)
	if t.up != nil && t.up.phase == upActive {
		t.rest()
	}
}

// refresh moves the connection to the listener's current chain, and ends it if
// that would not let it in. Without such a chain it is drained.
func (t *tunnel) refresh() {
	d := t.d
	var c *chainView
	if l := d.w.view.listeners[d.listener]; l != nil {
		c = l.pick(d.port, d.sni, d.protocol, d.remote.Addr().Unmap())
	}
	switch {
	case t.over:
	case c == nil || c.tcp == nil || (c.tls == nil) != (d.tlsConf == nil):
		t.drain()
	case !t.staysIn(c):
		d.chain.tcp.stats.denied.Inc()
		t.cut()
	default:
		d.chain.conns.cxActive.Add(-1)
		d.chain, d.tlsConf = c, c.tls
		c.conns.cxActive.Add(1)
	}
}

// staysIn judges the connection by the rules of another chain: those of the
// handshake, where they are others, and the guards.
func (t *tunnel) staysIn(c *chainView) bool {
	if c.tls != t.d.tlsConf && c.tls.VerifyConnection != nil && c.tls.VerifyConnection(*t.d.connectionState()) != nil {
		return false
	}
	return c.tcp.letsIn(&filter.Connection{Peer: t.d.peer})
}

// cut ends both sides so that neither can take what it has for all.
func (t *tunnel) cut() {
	if t.up != nil {
		t.up.reset()
	}
	t.d.abort()
}

// finish is the end: the client's side is closed by its owner.
func (t *tunnel) finish() {
	if t.over {
		return
	}
	t.over = true
	t.countClosed()
	if len(t.d.chain.tcp.logs) > 0 {
		t.log()
	}
	if u := t.up; u != nil {
		t.up = nil
		u.close()
	}
	if t.host != nil {
		t.host.active--
		t.host.known.End()
		t.host = nil
	}
}

func (t *tunnel) log() {
	took := time.Duration(t.d.w.now - t.start)
	t.d.w.write(t.d.chain.tcp.logs, telemetry.Record{
		Start: t.d.w.wall.Add(-took), Duration: took, Flags: t.flags, Opaque: true, Audited: t.asked.Audited,
		BytesReceived: t.received, BytesSent: t.sent, Peer: &t.d.peer, UpstreamHost: t.hostText, UpstreamCluster: t.name,
		Request: &noRequest,
	})
}

// noRequest is what a connection of bytes has for one.
var noRequest message.Request
