package telemetry

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Sink is where records go: an access log file, or a collector. Its goroutine
// writes what batches hand over, so that a slow disk, a full pipe or a collector
// that is away stops nobody; records that find its queue full are dropped and
// counted, in envoy_access_logs_lines_dropped where they are lines.
type Sink struct {
	queue chan load
	done  chan struct{}
	stats SinkStats
	free  sync.Pool
	abort func() // ends a Write that is under way; nil: nothing does

	mu     sync.RWMutex // held to write by Close, to read by whoever puts something in queue
	closed bool
}

// load is what one batch hands over.
type load struct {
	b []byte
	n int64 // records
}

// SinkStats are what a sink counts, of records, but for Failed: that is of writes.
type SinkStats struct {
	Sent, Dropped, Failed Metric
}

// Rejection is the error of a Write that came through, but for so many records that
// the collector did not take.
type Rejection struct{ Records int64 }

// Error implements error.
func (r Rejection) Error() string { return fmt.Sprintf("%d records were rejected", r.Records) }

// Wrote counts one Write of this many records by what it gave; false: it failed.
// What a collector rejects is dropped and never was sent.
func (s SinkStats) Wrote(records int64, err error) bool {
	var rejected Rejection
	if err != nil && !errors.As(err, &rejected) {
		s.Dropped.Add(records)
		return false
	}
	lost := min(rejected.Records, records) // whatever the collector says
	s.Dropped.Add(lost)
	s.Sent.Add(records - lost)
	return true
}

// queueLength times batchSize is what may wait for a slow file: 16 MiB.
const (
	queueLength = 256
	batchSize   = 64 << 10
)

// OpenSink opens path for appending; /dev/stdout and /dev/stderr are the
// process's own.
func OpenSink(path string, r *Registry) (*Sink, error) {
	var w io.WriteCloser
	switch path {
	case "/dev/stdout":
		w = keepOpen{os.Stdout}
	case "/dev/stderr":
		w = keepOpen{os.Stderr}
	default:
		f, err := open(path)
		if err != nil {
			return nil, err
		}
		w = f
	}
	return NewSink(w, nil, SinkStats{
		Sent:    r.Counter("envoy_access_logs_lines_written"),
		Dropped: r.Counter("envoy_access_logs_lines_dropped"),
		Failed:  r.Counter("envoy_access_logs_write_failed"),
	}), nil
}

// NewSink makes a sink of w, which gets whole batches. abort, if it is not nil,
// makes a Write that is under way, and all that come, fail.
func NewSink(w io.WriteCloser, abort func(), stats SinkStats) *Sink {
	s := &Sink{queue: make(chan load, queueLength), done: make(chan struct{}), stats: stats, abort: abort}
	go s.run(w)
	return s
}

// open does not wait for the reader of a pipe: nobody there is an error.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	return f, nil
}

// Probe says what would keep OpenSink from opening path.
func Probe(path string) error {
	if path == "/dev/stdout" || path == "/dev/stderr" {
		return nil
	}
	f, err := open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }

func (s *Sink) run(w io.WriteCloser) {
	defer close(s.done)
	for l := range s.queue {
		if _, err := w.Write(l.b); !s.stats.Wrote(l.n, err) {
			s.stats.Failed.Inc()
		}
		s.free.Put(&l.b)
	}
	if w.Close() != nil {
		s.stats.Failed.Inc()
	}
}

// closeWait is how long Close waits for a file that takes nothing: whoever
// reads a pipe, or does not, shall not keep the process from ending.
const closeWait = 2 * time.Second

// Close writes what is queued and closes the file, and gives up what is not
// written after 2 s. What batches hand over after is dropped.
func (s *Sink) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-time.After(closeWait):
		s.stats.Failed.Inc()
		if s.abort != nil {
			s.abort()
			<-s.done
		}
	}
}

// Batch collects the lines of one event loop for a Sink. One goroutine uses it.
type Batch struct {
	sink  *Sink
	buf   []byte
	lines int64
	aside []byte // what is made before its length is known
	clock clock
}

// NewBatch makes a batch.
func (s *Sink) NewBatch() *Batch { return &Batch{sink: s} }

// Add formats one record; a batch that is full is handed over.
func (b *Batch) Add(f *Format, r *Record) {
	b.begin()
	r.clock = &b.clock
	b.buf, b.aside = f.append(b.buf, b.aside, r)
	b.added()
}

// AddSpan encodes one span.
func (b *Batch) AddSpan(f *Spans, s *Span) {
	b.begin()
	b.buf, b.aside = f.Append(b.buf, b.aside, s)
	b.added()
}

func (b *Batch) begin() {
	if b.buf == nil {
		b.buf = b.sink.buffer()
	}
}

func (b *Batch) added() {
	b.lines++
	if len(b.buf) >= batchSize-(4<<10) {
		b.Flush()
	}
}

func (s *Sink) buffer() []byte {
	if p, ok := s.free.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, batchSize)
}

// Flush hands over what there is.
func (b *Batch) Flush() {
	if len(b.buf) == 0 {
		return
	}
	if !b.sink.put(load{b.buf, b.lines}) {
		b.sink.stats.Dropped.Add(b.lines)
	}
	b.buf, b.lines = nil, 0
}

// put queues a load; false: there is no room, or the sink is closed.
func (s *Sink) put(l load) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return false
	}
	select {
	case s.queue <- l:
		return true
	default:
		return false
	}
}
