package engine

import (
	"time"

	"github.com/meshc/meshc/dataplane/telemetry"
)

// workerLogs holds one loop's unwritten access log lines, per sink. They go to
// the sink's own goroutine, so that a slow disk or pipe never stops the loop.
type workerLogs struct {
	sinks  map[*telemetry.Sink]*telemetry.Batch
	record telemetry.Record
	timer  timer
	w      *worker
}

// logInterval is how long a line may wait for others.
const logInterval = 200 * time.Millisecond

// record is the stream as logs and spans tell of it.
func (s *stream) record(status int, took time.Duration) telemetry.Record {
	r := telemetry.Record{
		Start: s.w.wall.Add(-took), Duration: took,
		Request: s.req.Request, Response: &s.resp, Status: status,
		Flags: s.flags, Details: s.details,
		BytesReceived: s.reqBytes, BytesSent: s.respBytes,
		Peer: &s.who.peer, Protocol: s.req.protocol, Route: s.route, UpstreamHost: s.hostText, Audited: s.fs.Audited,
	}
	if s.client.IsValid() {
		r.Peer = &s.fs.Peer
	}
	if s.dest != nil {
		r.UpstreamCluster = s.dest.Name
	}
	return r
}

// write gives a record to the logs that want it.
func (w *worker) write(logs []logTarget, record telemetry.Record) {
	l := &w.logs
	r := &l.record // what is pointed to is not moved to the heap each time
	*r = record
	for _, t := range logs {
		if t.filter == nil || t.filter(r, w.draw) {
			l.batch(w, t.sink).Add(t.format, r)
		}
	}
	*r = telemetry.Record{}
}

func (l *workerLogs) batch(w *worker, sink *telemetry.Sink) *telemetry.Batch {
	b := l.sinks[sink]
	if b == nil {
		if l.sinks == nil {
			l.sinks = map[*telemetry.Sink]*telemetry.Batch{}
			l.w, l.timer.owner = w, l
		}
		b = sink.NewBatch()
		l.sinks[sink] = b
	}
	if l.timer.want == 0 {
		w.timers.set(&l.timer, w.now+int64(logInterval))
	}
	return b
}

func (l *workerLogs) onTimer() { l.flush() }

func (l *workerLogs) flush() {
	for _, b := range l.sinks {
		b.Flush()
	}
}
