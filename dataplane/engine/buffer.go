package engine

// Buffers come in three sizes, from free lists of one event loop: a head starts
// in the smallest, so that a connection that only sits there costs little.
const (
	smallBuffer = 4 << 10
	mediumBuf   = 16 << 10
	largeBuffer = 64 << 10
)

type buffers struct{ small, medium, large [][]byte }

// Kept at most: 4 MiB of each size and event loop.
const (
	keepSmall  = 1024
	keepMedium = 256
	keepLarge  = 64
)

// get gives a buffer of at least n bytes, n ≤ largeBuffer.
func (b *buffers) get(n int) []byte {
	switch {
	case n <= smallBuffer:
		return pop(&b.small, smallBuffer)
	case n <= mediumBuf:
		return pop(&b.medium, mediumBuf)
	}
	return pop(&b.large, largeBuffer)
}

func (b *buffers) put(p []byte) {
	p = p[:cap(p)]
	switch {
	case len(p) == smallBuffer && len(b.small) < keepSmall:
		b.small = append(b.small, p)
	case len(p) == mediumBuf && len(b.medium) < keepMedium:
		b.medium = append(b.medium, p)
	case len(p) == largeBuffer && len(b.large) < keepLarge:
		b.large = append(b.large, p)
	}
}

// extend makes room for n more bytes behind dst, moving it to a bigger buffer
// of the free lists while that is possible.
func (b *buffers) extend(dst []byte, n int) []byte {
	need := len(dst) + n
	if need <= cap(dst) || need > largeBuffer {
		return dst
	}
	bigger := append(b.get(need)[:0], dst...)
	if dst != nil {
		b.put(dst)
	}
	return bigger
}

func pop(list *[][]byte, size int) []byte {
	if n := len(*list); n > 0 {
		p := (*list)[n-1]
		(*list)[n-1] = nil
		*list = (*list)[:n-1]
		return p
	}
	return make([]byte, size)
}

// input is what has been read from a connection and not used yet. The head of
// the message in progress stays where it is until the exchange is over, because
// its fields alias it; the body goes through the space behind it, or, when that
// is small or the body is big, through a buffer of its own.
type input struct {
	buf  []byte // head and what came with it; nil when nothing is held
	r, w int
	base int    // end of the head in progress, 0 while it is being read
	held []byte // the head in progress, when buf is for the body alone
	big  bool   // a read filled all the space there was
}

const minBodySpace = 2 << 10

func (in *input) bytes() []byte { return in.buf[in.r:in.w] }

func (in *input) consume(n int) { in.r += n }

// fill reads once. It grows a head buffer up to max bytes and reports ioFull
// when that is not enough.
func (in *input) fill(s *sock, first, max int) ioState {
	if in.base == 0 {
		if st := in.roomForHead(s.w, first, max); st != ioOK {
			return st
		}
	} else {
		in.roomForBody(s.w)
	}
	n, st := s.read(in.buf[in.w:])
	in.w += n
	in.big = in.big || st == ioOK && in.w == len(in.buf)
	return st
}

func (in *input) roomForHead(w *worker, first, max int) ioState {
	if in.buf == nil {
		in.buf, in.r, in.w = w.bufs.get(first), 0, 0
		return ioOK
	}
	if in.w < len(in.buf) {
		return ioOK
	}
	have := in.w - in.r
	if in.r > 0 && have <= len(in.buf)/2 {
		copy(in.buf, in.bytes())
		in.r, in.w = 0, have
		return ioOK
	}
	if have >= max || have >= largeBuffer {
		return ioFull
	}
	bigger := w.bufs.get(min(have*4, largeBuffer))
	copy(bigger, in.bytes())
	w.bufs.put(in.buf)
	in.buf, in.r, in.w = bigger, 0, have
	return ioOK
}

// roomForBody is called with nothing unread.
func (in *input) roomForBody(w *worker) {
	if in.held == nil && (in.big || len(in.buf)-in.base < minBodySpace) {
		// The head keeps its buffer; reading goes on in a new one.
		in.held = in.buf
		in.buf, in.base = w.bufs.get(largeBuffer), -1
	}
	in.r = max(in.base, 0)
	in.w = in.r
}

// headDone marks n bytes as the head in progress.
func (in *input) headDone(n int) {
	in.r += n
	in.base = in.r
}

// next forgets the message that is over and keeps what came behind it.
func (in *input) next(w *worker) {
	if in.held != nil {
		w.bufs.put(in.held)
		in.held = nil
	}
	in.base, in.big = 0, false
	if in.r == in.w {
		in.release(w)
	}
}

func (in *input) release(w *worker) {
	if in.buf != nil {
		w.bufs.put(in.buf)
	}
	if in.held != nil {
		w.bufs.put(in.held)
	}
	*in = input{}
}
