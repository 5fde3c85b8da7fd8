package engine

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/transport/clienthello"
)

// recordHandshake begins a TLS connection; no HTTP request begins with it.
const recordHandshake = 22

// inspect looks at the first bytes without taking them. One byte tells TLS from
// plaintext, so a fragmented ClientHello cannot slip into the plaintext chain;
// where chains are chosen by server name the whole ClientHello is waited for.
func (d *dconn) inspect() {
	l := d.w.view.listeners[d.listener]
	switch {
	case l == nil:
		d.close()
		return
	case d.announced && !d.readAnnounced():
		return
	case !l.inspects(d.port):
		d.choose(l, "", "raw_buffer")
		return
	}
	n, errno := sysPeek(d.fd, d.w.scratch[:1])
	switch {
	case errno == unix.EAGAIN:
	case errno != 0 || n == 0:
		d.close()
	case d.w.scratch[0] != recordHandshake:
		d.choose(l, "", "raw_buffer")
	case l.byName:
		d.inspectName(l)
	default:
		d.choose(l, "", "tls")
	}
}

// inspectName waits for the server name. As in Envoy, what begins like TLS and
// is none goes to the chains without names, whose handshake refuses it.
func (d *dconn) inspectName(l *listenerView) {
	p := d.w.bufs.get(clienthello.MaxBytes)
	defer d.w.bufs.put(p)
	n, errno := sysPeek(d.fd, p[:clienthello.MaxBytes])
	if errno != 0 || n == 0 {
		if errno != unix.EAGAIN {
			d.close()
		}
		return
	}
	name, err := clienthello.ServerName(p[:n])
	switch {
	case errors.Is(err, clienthello.ErrMore) && n == clienthello.MaxBytes:
		d.close()
	case errors.Is(err, clienthello.ErrMore) && d.hup:
		d.close() // the rest will never come
	case errors.Is(err, clienthello.ErrMore):
	case err != nil:
		d.choose(l, "", "raw_buffer")
	default:
		d.choose(l, name, "tls")
	}
}
