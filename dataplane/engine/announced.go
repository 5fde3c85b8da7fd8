package engine

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/proxyprotocol"
)

// readAnnounced takes the header of the PROXY protocol off the connection, and
// nothing of what is behind it; false: it has not all come, or is none, which is
// the end.
func (d *dconn) readAnnounced() bool {
	p := d.w.bufs.get(proxyprotocol.MaxBytes)
	defer d.w.bufs.put(p)
	n, errno := sysPeek(d.fd, p[:proxyprotocol.MaxBytes])
	if errno == unix.EAGAIN {
		return false
	}
	if errno != 0 || n == 0 {
		d.close()
		return false
	}
	h, length, err := proxyprotocol.Parse(p[:n])
	if errors.Is(err, proxyprotocol.ErrMore) && !d.hup {
		return false
	}
	if err == nil {
		n, errno = sysRead(d.fd, p[:length])
	}
	if err != nil || errno != 0 || n != length {
		d.acceptor.unannounced.Inc()
		d.close()
		return false
	}
	d.announced = false
	d.believe(h)
	return true
}

// believe takes the addresses of h for the connection's. Rules about networks go
// by the other end itself, as in Envoy (direct_remote_ip).
func (d *dconn) believe(h proxyprotocol.Header) {
	if h.Local {
		return
	}
	d.peer.Direct = d.peer.Remote
	d.remote, d.port = h.Source, h.Destination.Port()
	d.peer.Remote, d.peer.Local = h.Source.String(), h.Destination.String()
}
