package engine

// tunnelUp is the server's side of a tunnel: a connection of its own, which no
// other will use.
type tunnelUp struct {
	sock
	host  *host
	t     *tunnel
	phase upState
	timer timer
}

// connectTunnel starts a connection for t.
func (h *host) connectTunnel(t *tunnel) bool {
	u := &tunnelUp{host: h, t: t}
	u.timer.owner = u
	if !h.dial(&u.sock, u, &u.timer) {
		return false
	}
	h.pool.brk.Pending.Take()
	t.up = u
	return true
}

func (u *tunnelUp) onEvent() {
	switch u.phase {
	case upConnecting:
		u.onConnected()
	case upHandshake:
		u.runHandshake()
	case upActive:
		u.t.d.run()
	}
}

func (u *tunnelUp) onConnected() {
	if !u.writable {
		return
	}
	if u.unconnected() || !u.host.announce(&u.sock) {
		u.host.known.Failed()
		u.t.unreached()
		return
	}
	conf := u.host.pool.snap.TLS
	if conf == nil {
		u.ready()
		return
	}
	u.phase = upHandshake
	u.startTLS(conf, u.host.pool.snap.Peers, false)
	u.runHandshake()
}

func (u *tunnelUp) runHandshake() {
	switch done, err := u.handshake(); {
	case !done:
	case err != nil:
		u.host.handshakeFailed(err)
		u.host.known.Failed()
		u.t.unreached()
	default:
		u.ready()
	}
}

func (u *tunnelUp) ready() {
	u.phase = upActive
	u.w.timers.set(&u.timer, 0)
	u.host.pool.brk.Pending.Release()
	u.host.known.Connected()
	u.host.started()
	u.t.lastMove = u.w.now
	u.t.d.run()
}

func (u *tunnelUp) onTimer() {
	u.host.pool.stats.connectTimeout.Inc()
	u.host.known.TimedOut()
	u.t.unreached()
}

func (u *tunnelUp) close() {
	switch u.phase {
	case upClosed:
		return
	case upActive:
		u.host.finished()
	default:
		u.host.pool.brk.Pending.Release()
	}
	u.phase = upClosed
	u.w.timers.drop(&u.timer)
	u.sock.close()
	u.host.closed()
}
