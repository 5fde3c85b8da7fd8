package http1

import "github.com/meshc/meshc/dataplane/message"

// ChunkReader decodes the chunked transfer coding (RFC 9112 §7.1), piece by
// piece, without buffering. The zero value is ready. Chunk extensions and
// trailer fields are checked, counted and dropped: no trailer reaches the other
// side, where it could be taken for a header field.
type ChunkReader struct {
	state  chunkState
	size   int64 // left of the chunk
	digits int
	extra  int // bytes of extensions and trailers so far
	line   int // bytes of the trailer line so far
	colon  bool
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerLine
	trailerLF
	chunkDone
)

// maxChunkExtra bounds extensions and trailers of one body together.
const maxChunkExtra = 8 << 10

var (
	errChunkSize  = bad("invalid_chunk_size")
	errChunkExt   = bad("invalid_chunk_extension")
	errChunkEnd   = bad("invalid_chunk_end")
	errTrailer    = bad("invalid_trailer")
	errChunkExtra = bad("chunk_extensions_too_large")
)

// Next consumes bytes of in up to and including the next piece of data. data
// aliases in and is empty when framing alone was consumed; n is how much of in
// is used up; done is true once the last byte of the body, its final CRLF, is
// consumed. With n == len(in) and !done, more input is needed.
func (c *ChunkReader) Next(in []byte) (data []byte, n int, done bool, err error) {
	for n < len(in) && c.state != chunkDone {
		if c.state == chunkData {
			k := min(int64(len(in)-n), c.size)
			data = in[n : n+int(k)]
			if c.size -= k; c.size == 0 {
				c.state = chunkDataCR
			}
			return data, n + int(k), false, nil
		}
		if e := c.step(in[n]); e != nil {
			return nil, n, false, e
		}
		n++
	}
	return nil, n, c.state == chunkDone, nil
}

// Done reports whether the whole body has been consumed.
func (c *ChunkReader) Done() bool { return c.state == chunkDone }

func (c *ChunkReader) step(b byte) *Error {
	switch c.state {
	case chunkSize:
		return c.stepSize(b)
	case chunkExt:
		return c.stepExt(b)
	case chunkSizeLF:
		if b != '\n' {
			return errChunkSize
		}
		c.digits = 0
		c.state = chunkData
		if c.size == 0 {
			c.state = trailerLine
		}
	case chunkDataCR:
		if b != '\r' {
			return errChunkEnd
		}
		c.state = chunkDataLF
	case chunkDataLF:
		if b != '\n' {
			return errChunkEnd
		}
		c.state = chunkSize
	case trailerLine:
		return c.stepTrailer(b)
	case trailerLF:
		if b != '\n' {
			return errTrailer
		}
		c.state = trailerLine
		if c.line == 0 {
			c.state = chunkDone
		}
		c.line, c.colon = 0, false
	}
	return nil
}

func (c *ChunkReader) stepSize(b byte) *Error {
	if d := unhex(b); d >= 0 {
		// 15 digits cannot overflow; leading zeros count, so that a size has
		// one bounded spelling.
		if c.digits++; c.digits > 15 {
			return errChunkSize
		}
		c.size = c.size<<4 | int64(d)
		return nil
	}
	switch {
	case c.digits == 0:
		return errChunkSize
	case b == ';':
		c.state = chunkExt
	case b == '\r':
		c.state = chunkSizeLF
	default:
		return errChunkSize
	}
	return nil
}

func (c *ChunkReader) stepExt(b byte) *Error {
	if b == '\r' {
		c.state = chunkSizeLF
		return nil
	}
	if !message.ValueByte(b) {
		return errChunkExt
	}
	if c.extra++; c.extra > maxChunkExtra {
		return errChunkExtra
	}
	return nil
}

func (c *ChunkReader) stepTrailer(b byte) *Error {
	if b == '\r' {
		if c.line > 0 && !c.colon {
			return errTrailer
		}
		c.state = trailerLF
		return nil
	}
	switch {
	case c.colon:
		if !message.ValueByte(b) {
			return errTrailer
		}
	case b == ':' && c.line > 0:
		c.colon = true
	case message.TokenByte(b) == 0:
		return errTrailer
	}
	c.line++
	if c.extra++; c.extra > maxChunkExtra {
		return errChunkExtra
	}
	return nil
}
