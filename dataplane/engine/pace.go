package engine

import "time"

// pace is how far a response that a filter has slowed down has come. As Envoy does
// (StreamRateLimiter), time is cut into slices, each with its share of the bytes;
// unlike there, what a slow client leaves of a slice is no credit.
type pace struct {
	left int   // bytes of this slice
	next int64 // when the next begins; 0: none has begun
}

const paceSlice = int64(50 * time.Millisecond)

// paced is how much of room a response that is slowed down may use now. When that
// is nothing, the stream is run again when it is more.
func (s *stream) paced(room int) int {
	p := &s.pace
	if s.w.now >= p.next {
		p.left, p.next = max(1, int(int64(s.fs.Pace)*paceSlice/int64(time.Second))), s.w.now+paceSlice
	}
	if p.left > 0 {
		return min(room, p.left)
	}
	s.wakeAt = p.next
	s.armTimer()
	if s.d.flush() == ioError {
		s.d.cut()
	}
	return 0
}
