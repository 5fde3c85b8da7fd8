package engine

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/telemetry"
)

// boundListener is one listening socket, shared by all loops: EPOLLEXCLUSIVE
// wakes one of them per connection. SO_REUSEPORT would let a second process
// bind the same address unnoticed, and would lose the connections in the queue
// of a socket that is closed; a process that takes the place of this one gets a
// duplicate of the socket, and so shares its queue.
type boundListener struct {
	fd   int
	want netip.AddrPort // as configured
	addr netip.AddrPort // as bound
	shut atomic.Bool
}

const backlog = 4096

func listen(addr netip.AddrPort) (*boundListener, error) {
	family, sa := sockaddr(addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", addr, err)
	}
	b := &boundListener{fd: fd, want: addr}
	if err := b.start(sa); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen %s: %w", addr, err)
	}
	return b, nil
}

func (b *boundListener) start(sa unix.Sockaddr) error {
	// Only against TIME_WAIT: on Linux SO_REUSEADDR does not let two sockets listen.
	if err := unix.SetsockoptInt(b.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if _, v6 := sa.(*unix.SockaddrInet6); v6 {
		// As Envoy without ipv4_compat: 0.0.0.0 is an address of its own.
		if err := unix.SetsockoptInt(b.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	if err := unix.Bind(b.fd, sa); err != nil {
		return err
	}
	if err := unix.Listen(b.fd, backlog); err != nil {
		return err
	}
	bound, err := unix.Getsockname(b.fd)
	if err != nil {
		return err
	}
	b.addr = addrPort(bound)
	return nil
}

func (b *boundListener) close() {
	if !b.shut.Swap(true) {
		_ = unix.Close(b.fd)
	}
}

func sockaddr(a netip.AddrPort) (int, unix.Sockaddr) {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// acceptor is one loop's interest in one boundListener.
type acceptor struct {
	w      *worker
	b      *boundListener
	name   string // of the listener that has the socket now
	key    int32  // ≤ -2, in epoll
	armed  bool
	timer  timer
	active *telemetry.Cell
	total  *telemetry.Cell
	paused *telemetry.Cell
	// unannounced connections should have begun with a header of the PROXY protocol.
	unannounced *telemetry.Cell
}

func (w *worker) newAcceptor(name string, b *boundListener) *acceptor {
	a := &acceptor{w: w, b: b, name: name, key: -2}
	for used := true; used; {
		used = false
		for _, other := range w.listeners {
			if other.key == a.key {
				a.key, used = a.key-1, true
			}
		}
	}
	a.timer.owner = a
	label := telemetry.Label{Name: "envoy_listener_address", Value: b.addr.String()}
	a.active = w.e.reg.Gauge("envoy_listener_downstream_cx_active", label).Shard(w.id)
	a.total = w.e.reg.Counter("envoy_listener_downstream_cx_total", label).Shard(w.id)
	a.paused = w.e.reg.Counter("envoy_listener_downstream_cx_overflow", label).Shard(w.id)
	a.unannounced = w.e.reg.Counter("envoy_listener_downstream_cx_proxy_proto_error", label).Shard(w.id)
	w.listeners[b] = a
	a.arm()
	return a
}

func (a *acceptor) arm() {
	if a.armed {
		return
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: a.key}
	if err := unix.EpollCtl(a.w.epfd, unix.EPOLL_CTL_ADD, a.b.fd, &ev); err != nil {
		a.w.e.log.Error("listener cannot be watched", "listener", a.name, "error", err)
		a.w.timers.set(&a.timer, a.w.now+int64(acceptPause))
		return
	}
	a.armed = true
}

func (a *acceptor) disarm() {
	if a.armed {
		_ = unix.EpollCtl(a.w.epfd, unix.EPOLL_CTL_DEL, a.b.fd, nil)
		a.armed = false
	}
}

// stop takes what is in the queue already, since closing the socket would reset
// it, and lets go.
func (a *acceptor) stop() {
	for a.accept() == acceptBatch {
		continue
	}
	a.disarm()
	a.w.timers.drop(&a.timer)
	delete(a.w.listeners, a.b)
}

// acceptPause is how long a loop leaves a listener alone when it cannot take
// more: out of descriptors or at the connection limit. Without it a
// level-triggered listener would spin.
const acceptPause = 50 * time.Millisecond

func (a *acceptor) pause() {
	a.paused.Inc()
	a.disarm()
	a.w.timers.set(&a.timer, a.w.now+int64(acceptPause))
}

func (a *acceptor) onTimer() { a.arm() }

// acceptBatch bounds how many connections one wake-up takes, so that other
// loops get theirs.
const acceptBatch = 8

func (w *worker) acceptFrom(key int32) {
	for _, a := range w.listeners {
		if a.key == key {
			a.accept()
			return
		}
	}
}

func (a *acceptor) accept() (taken int) {
	w := a.w
	for taken < acceptBatch {
		if w.e.conns.Load() >= int64(w.e.opts.MaxConnections) {
			a.pause()
			return taken
		}
		fd, sa, err := unix.Accept4(a.b.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			w.newDconn(a, fd, addrPort(sa))
			taken++
		case unix.EAGAIN:
			return taken
		case unix.ECONNABORTED, unix.EINTR:
		default: // EMFILE, ENFILE, ENOBUFS, ENOMEM
			w.e.log.Warn("cannot accept", "listener", a.name, "error", err)
			a.pause()
			return taken
		}
	}
	return taken
}
