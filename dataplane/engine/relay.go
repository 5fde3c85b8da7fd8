package engine

import (
	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// How bytes go from socket to socket, and what is counted of it.

// relaySize is how much is taken at once: what a socket does not take of it fits
// a large buffer.
const relaySize = largeBuffer

// relayBuffer is the loop's own, for bytes on their way through.
func (w *worker) relayBuffer() []byte {
	if w.relay == nil {
		w.relay = make([]byte, relaySize)
	}
	return w.relay
}

// fill reads as much as there is. TLS gives a record at a time; one write of
// several costs the other side less.
func (s *sock) fill(p []byte) (n int, st ioState) {
	if s.tls == nil {
		return s.readRaw(p)
	}
	for st == ioOK && len(p)-n >= minRoom {
		var more int
		more, st = s.readTLS(p[n:])
		n += more
	}
	return n, st
}

// send writes p, with nothing waiting before it, and keeps what the socket does
// not take.
func (s *sock) send(p []byte) ioState {
	if s.tls == nil {
		n, st := s.writeRaw(p)
		s.append(p[n:])
		return st
	}
	for len(p) > 0 {
		piece := p[:min(len(p), maxPlaintext)]
		if _, err := s.tls.conn.Write(piece); err != nil {
			return ioError
		}
		p = p[len(piece):]
		if st := s.tls.flushRecords(); st != ioOK {
			s.append(p)
			return st
		}
	}
	return ioOK
}

// endOutput says that nothing more comes; what the peer sends is still read. In
// TLS close_notify says it.
func (s *sock) endOutput() ioState {
	if s.tls != nil {
		if s.tls.conn.CloseWrite() != nil {
			return ioError
		}
		return s.tls.flushRecords()
	}
	if unix.Shutdown(s.fd, unix.SHUT_WR) != nil {
		return ioError
	}
	return ioOK
}

// tcpView is a TCP proxy with its defaults filled in.
type tcpView struct {
	snap  *snapshot.TCP
	idle  int64
	logs  []logTarget
	stats *tcpStats

	traffic tally[*tcpCounts]
}

// tcpStats are one loop's cells of Envoy's tcp.<stat_prefix>.* statistics; denied
// and drained are this proxy's own.
type tcpStats struct {
	connStats
	noRoute, received, sent, idle *telemetry.Cell
	denied, drained               *telemetry.Cell
}

func (w *worker) newTCPStats(prefix string) *tcpStats {
	label := telemetry.Label{Name: "envoy_tcp_prefix", Value: prefix}
	counter := func(name string) *telemetry.Cell { return w.e.reg.Counter("envoy_tcp_"+name, label).Shard(w.id) }
	return &tcpStats{
		connStats: connStats{
			cxTotal:        counter("downstream_cx_total"),
			cxActive:       w.e.reg.Gauge("envoy_tcp_downstream_cx_active", label).Shard(w.id),
			handshakeError: counter("downstream_cx_ssl_connection_error"),
		},
		noRoute:  counter("downstream_cx_no_route"),
		received: counter("downstream_cx_rx_bytes_total"),
		sent:     counter("downstream_cx_tx_bytes_total"),
		idle:     counter("idle_timeout"),
		denied:   counter("downstream_cx_denied"),
		drained:  counter("downstream_cx_drain_closed"),
	}
}
