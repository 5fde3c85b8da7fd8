package engine

import "slices"

// The HTTP/2 side of a host: connections that carry many streams, and one queue
// for the streams that find no room on any.

// acquireMux finds s a connection, or has it wait for one.
func (h *host) acquireMux(s *stream) {
	for _, m := range h.muxes {
		if m.spare() > 0 {
			m.attach(s)
			return
		}
	}
	brk := h.pool.brk
	if !brk.Pending.Free() {
		h.overflow(s)
		return
	}
	brk.Pending.Take()
	s.waiting = true
	h.queue = append(h.queue, s)
	h.widen()
}

// widen starts a connection when those that are being made will not take all
// that wait. Every loop may have one per endpoint, as in Envoy.
func (h *host) widen() {
	coming := 0
	for _, m := range h.muxes {
		if m.phase == upConnecting || m.phase == upHandshake {
			coming += int(h2Defaults.MaxStreams)
		}
	}
	if len(h.queue) <= coming {
		return
	}
	if !h.pool.brk.Connections.Free() && h.conns > 0 {
		h.pool.stats.cxOverflow.Inc()
		return
	}
	if !h.dialMux() && len(h.muxes) == 0 {
		h.connectFailed()
		h.failQueue(failConnect)
	}
}

// serve gives m to those that wait.
func (h *host) serve(m *umux) {
	for len(h.queue) > 0 && m.spare() > 0 {
		s := h.dequeue()
		s.d.again()
		if h.pool.brk.Requests.Free() {
			m.attach(s)
		} else {
			h.overflow(s)
		}
	}
}

// failQueue fails those that wait now; what they try next waits anew.
func (h *host) failQueue(why failure) {
	for range len(h.queue) {
		s := h.dequeue()
		if s == nil {
			return
		}
		s.fail(why)
		s.d.again()
	}
}

func (h *host) dropMux(m *umux) {
	if i := slices.Index(h.muxes, m); i >= 0 {
		h.muxes = slices.Delete(h.muxes, i, i+1)
	}
}

// muxClosed makes room for another connection.
func (h *host) muxClosed() {
	h.countClosed()
	if len(h.queue) > 0 {
		h.widen()
	}
}

// leaveMuxes retires the connections of an endpoint that is gone, as soon as
// nobody waits for them.
func (h *host) leaveMuxes() {
	if len(h.queue) > 0 {
		return
	}
	for _, m := range slices.Clone(h.muxes) {
		m.leave()
	}
}
