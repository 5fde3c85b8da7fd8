package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// How long, and for how many requests, a connection to an endpoint is used.

// keepAlive turns TCP keepalive on; what k does not say is the system's default.
func keepAlive(fd int, k *snapshot.Keepalive) {
	if k == nil {
		return
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	for _, o := range [...]struct{ name, value int }{
		{unix.TCP_KEEPCNT, k.Probes},
		{unix.TCP_KEEPIDLE, int(k.Time / time.Second)},
		{unix.TCP_KEEPINTVL, int(k.Interval / time.Second)},
	} {
		if o.value > 0 {
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, o.name, o.value)
		}
	}
}

// retireAt is when a connection that is ready now takes no new requests; 0: never.
func (p *pool) retireAt() int64 {
	if p.maxAge == 0 {
		return 0
	}
	return p.w.now + p.maxAge
}

// idleDeadline is when a connection that idles from now on is closed; 0: never.
func (p *pool) idleDeadline(retireAt int64) int64 {
	at := int64(0)
	if p.idleTimeout > 0 {
		at = p.w.now + p.idleTimeout
	}
	if retireAt != 0 && (at == 0 || retireAt < at) {
		at = retireAt
	}
	return at
}

func (u *uconn) idleUntil() int64 { return u.host.pool.idleDeadline(u.retireAt) }

// spent says that u has carried all that one connection may, or for long enough.
func (u *uconn) spent() bool {
	p := u.host.pool
	switch most := p.snap.MaxRequestsPerConnection; {
	case most > 0 && u.carried >= most:
		p.stats.cxMaxRequests.Inc()
	case u.retireAt != 0 && u.w.now >= u.retireAt:
		p.stats.cxMaxDuration.Inc()
	default:
		return false
	}
	return true
}

// left is how many more requests m may carry.
func (m *umux) left() int {
	if most := m.host.pool.snap.MaxRequestsPerConnection; most > 0 {
		return int(most) - m.carried
	}
	return 1 << 30
}

// worn has m leave when it has carried all that one connection may.
func (m *umux) worn() {
	if m.left() <= 0 && !m.leaving {
		m.host.pool.stats.cxMaxRequests.Inc()
		m.leaving = true
		m.host.dropMux(m)
		if len(m.host.queue) > 0 {
			m.host.widen()
		}
	}
}

// outlived has m take no new streams at the end of its time.
func (m *umux) outlived() {
	m.retireAt = 0
	m.host.pool.stats.cxMaxDuration.Inc()
	m.leave()
}
