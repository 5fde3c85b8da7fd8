package telemetry

import (
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Sink is one access log file. Its goroutine writes what batches hand over, so
// that a slow disk or a full pipe stops nobody; lines that find its queue full
// are dropped and counted in envoy_access_logs_lines_dropped.
type Sink struct {
	queue   chan []byte
	done    chan struct{}
	dropped Metric
	failed  Metric
	once    sync.Once
	free    sync.Pool
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
	s := &Sink{
		queue: make(chan []byte, queueLength), done: make(chan struct{}),
		dropped: r.Counter("envoy_access_logs_lines_dropped"),
		failed:  r.Counter("envoy_access_logs_write_failed"),
	}
	go s.run(w)
	return s, nil
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
	for b := range s.queue {
		if _, err := w.Write(b); err != nil {
			s.failed.Inc()
		}
		s.free.Put(&b)
	}
	if w.Close() != nil {
		s.failed.Inc()
	}
}

// closeWait is how long Close waits for a file that takes nothing: whoever
// reads a pipe, or does not, shall not keep the process from ending.
const closeWait = 2 * time.Second

// Close writes what is queued and closes the file, and gives up what is not
// written after 2 s. No batch may be used after.
func (s *Sink) Close() {
	s.once.Do(func() { close(s.queue) })
	select {
	case <-s.done:
	case <-time.After(closeWait):
		s.failed.Inc()
	}
}

// Batch collects the lines of one event loop for a Sink. One goroutine uses it.
type Batch struct {
	sink  *Sink
	buf   []byte
	lines int64
}

// NewBatch makes a batch.
func (s *Sink) NewBatch() *Batch { return &Batch{sink: s} }

// Add formats one record; a batch that is full is handed over.
func (b *Batch) Add(f *Format, r *Record) {
	if b.buf == nil {
		b.buf = b.sink.buffer()
	}
	b.buf = f.Append(b.buf, r)
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
	select {
	case b.sink.queue <- b.buf:
	default:
		b.sink.dropped.Add(b.lines)
	}
	b.buf, b.lines = nil, 0
}
