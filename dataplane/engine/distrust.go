package engine

import (
	"crypto/x509"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// distrustGrace is how long a connection goes on whose peer is trusted no more: for
// the answers that are on their way. A root that is known to others goes within 45 s
// of its taint (package ca), and nobody who has a certificate of it may be connected a
// minute after.
const distrustGrace = 10 * time.Second

// distrusted counts the connections that Recheck has ended.
const distrusted = "meshc_connections_distrusted"

// secured is a connection that may have TLS, with its peer's certificate verified.
type secured interface {
	handler
	// distrust begins the end: no new requests, and what is idle closes.
	distrust()
	// sever ends what is left.
	sever()
}

// shown is what one peer has shown in a handshake, and who judges it. Connections of
// the same peer share the leaf.
type shown struct {
	leaf  *x509.Certificate
	judge snapshot.Peers
}

// Recheck judges the peers of all connections anew, after a trust bundle has changed.
// The connections of those that it does not vouch for any more are drained, and closed
// within distrustGrace. It gives how many there are. Handshakes that are under way are
// judged when they end.
func (e *Engine) Recheck() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0
	}
	e.trust.Add(1)
	chains := e.shown()
	for s, chain := range chains {
		if s.judge.Trusts(chain) == nil {
			delete(chains, s)
		}
	}
	if len(chains) == 0 {
		return 0
	}
	ended := make([]int, len(e.workers))
	e.everywhere(func(w *worker) { ended[w.id] = w.distrust(chains) })
	total := 0
	for _, n := range ended {
		total += n
	}
	e.log.Warn("connections end whose peers are trusted no more", "connections", total, "certificates", len(chains), "within", distrustGrace)
	return total
}

// shown gives each chain that a peer of a connection has shown. They are verified
// elsewhere than on the loops, which have requests to serve.
func (e *Engine) shown() map[shown][]*x509.Certificate {
	each := make([]map[shown][]*x509.Certificate, len(e.workers))
	e.everywhere(func(w *worker) {
		each[w.id] = map[shown][]*x509.Certificate{}
		w.eachSecured(func(_ secured, s shown, chain []*x509.Certificate) { each[w.id][s] = chain })
	})
	all := map[shown][]*x509.Certificate{}
	for _, some := range each {
		for s, chain := range some {
			all[s] = chain
		}
	}
	return all
}

// eachSecured calls f for each connection whose peer has shown a certificate that
// somebody judges.
func (w *worker) eachSecured(f func(secured, shown, []*x509.Certificate)) {
	for i := range w.slots {
		c, ok := w.slots[i].h.(secured)
		if !ok {
			continue
		}
		t := w.slots[i].s.tls
		if t == nil || t.peers == nil || t.resume != nil || t.err != nil {
			continue
		}
		if chain := t.conn.ConnectionState().PeerCertificates; len(chain) > 0 {
			f(c, shown{chain[0], t.peers}, chain)
		}
	}
}

// distrust begins the end of the connections whose peers have shown one of refused.
func (w *worker) distrust(refused map[shown][]*x509.Certificate) int {
	b := &severance{w: w}
	w.eachSecured(func(c secured, s shown, _ []*x509.Certificate) {
		if _, is := refused[s]; is {
			b.conns = append(b.conns, c)
		}
	})
	if len(b.conns) == 0 {
		return 0
	}
	w.e.reg.Counter(distrusted).Shard(w.id).Add(int64(len(b.conns)))
	for _, c := range b.conns { // not above: ending one may change the slots
		c.distrust()
	}
	b.timer.owner = b
	w.timers.set(&b.timer, w.now+int64(distrustGrace))
	return len(b.conns)
}

// severance is the hard end of connections that were drained together.
type severance struct {
	w     *worker
	conns []secured
	timer timer
}

func (b *severance) onTimer() {
	b.w.timers.drop(&b.timer)
	for _, c := range b.conns {
		c.sever()
	}
}

func (d *dconn) distrust() {
	if !d.closed {
		d.drain()
	}
}

func (d *dconn) sever() { d.abort() }

// distrust closes a connection that idles; another is not used again.
func (u *uconn) distrust() {
	u.distrusted = true
	if u.phase == upIdle {
		u.close()
	}
}

func (u *uconn) sever() {
	if u.phase != upActive || u.s == nil {
		return
	}
	s := u.s
	s.fail(failReset)
	s.d.run()
}

func (m *umux) distrust() {
	if m.phase != upActive && m.phase != upIdle {
		return
	}
	m.leave()
	if len(m.host.queue) > 0 {
		m.host.widen() // who waits is not to wait for what ends
	}
}

func (m *umux) sever() { m.close() }

// distrust: nothing tells the ends of a connection of bytes that it will end.
func (u *tunnelUp) distrust() {}

func (u *tunnelUp) sever() {
	if u.phase == upActive && u.t.up == u {
		u.t.cut()
	}
}
