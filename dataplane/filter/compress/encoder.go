package compress

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/meshc/meshc/dataplane/filter"
)

// writer is a compressor of a library.
type writer interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// Levels and windows are Envoy's defaults where the library has them.
const (
	brotliQuality = 3
	brotliWindow  = 18
	gzipWindow    = 12 // bits: Envoy's default, and no more of a client's memory
	zstdWindow    = 1 << 18
)

var (
	gzips = newStore(func() (writer, error) { return gzip.NewWriterWindow(nil, 1<<gzipWindow) })
	// brotlis have no state that outlives Reset.
	brotlis = newStore(func() (writer, error) {
		return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: brotliQuality, LGWin: brotliWindow}), nil
	})
	zstds = newStore(func() (writer, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
	})
)

// store keeps encoders for reuse: each has some hundred KiB of state.
type store struct {
	make func() (writer, error)
	pool sync.Pool
}

func newStore(make func() (writer, error)) *store { return &store{make: make} }

func (s *store) get() filter.Encoder {
	e, ok := s.pool.Get().(*encoder)
	if !ok {
		e = &encoder{from: s}
		e.w, e.err = s.make()
	}
	if e.err == nil {
		e.w.Reset(&e.out)
	}
	return e
}

// encoder implements filter.Encoder.
type encoder struct {
	from *store
	w    writer
	out  sink
	err  error
}

// Encode implements filter.Encoder. Every piece is flushed, so that a client gets
// what a server sends when it sends it.
func (e *encoder) Encode(dst, piece []byte, end bool) ([]byte, error) {
	if e.err != nil {
		return dst, e.err
	}
	e.out.to = dst
	if len(piece) > 0 {
		_, e.err = e.w.Write(piece)
	}
	switch {
	case e.err != nil:
	case end:
		e.err = e.w.Close()
	case len(piece) > 0:
		e.err = e.w.Flush()
	}
	dst, e.out.to = e.out.to, nil
	return dst, e.err
}

// Release implements filter.Encoder.
func (e *encoder) Release() {
	if e.err == nil {
		e.from.pool.Put(e)
	}
}

// sink appends what is written.
type sink struct{ to []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.to = append(s.to, p...)
	return len(p), nil
}
