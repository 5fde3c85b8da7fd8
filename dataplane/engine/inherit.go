package engine

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Socket gives a duplicate of the listening socket of an address as it was
// configured; false where the engine does not listen there.
func (e *Engine) Socket(at netip.AddrPort) (*os.File, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.draining {
		return nil, false
	}
	for _, b := range e.current.listeners {
		if b.want != at {
			continue
		}
		fd, err := unix.FcntlInt(uintptr(b.fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, false
		}
		return os.NewFile(uintptr(fd), at.String()), true
	}
	return nil, false
}

// listen takes the socket that is handed over for an address, or opens one.
func (e *Engine) listen(at netip.AddrPort) (*boundListener, error) {
	if e.opts.Inherit == nil || at.Port() == 0 {
		return listen(at)
	}
	fd, ok := e.opts.Inherit(at)
	if !ok {
		return listen(at)
	}
	b := &boundListener{fd: fd, want: at}
	if err := b.adopt(); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen %s: the socket that was handed over: %w", at, err)
	}
	return b, nil
}

// adopt holds a socket to what it is to be.
func (b *boundListener) adopt() error {
	listens, err := unix.GetsockoptInt(b.fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return err
	}
	bound, err := unix.Getsockname(b.fd)
	if err != nil {
		return err
	}
	if b.addr = addrPort(bound); listens == 0 || b.addr != netip.AddrPortFrom(b.want.Addr().Unmap(), b.want.Port()) {
		return fmt.Errorf("it is bound to %s, listening: %t", b.addr, listens != 0)
	}
	return unix.SetNonblock(b.fd, true) // shared with the other process, whose it is already
}
