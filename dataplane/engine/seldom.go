package engine

import "time"

// seldomly is how often a loop logs what requests bring about: whoever sends many of
// them shall not fill the log.
const seldomly = time.Minute

// seldom keeps a log message of one loop from being written too often.
type seldom struct {
	next   int64
	unsaid int // since the last that was
}

// say reports whether it is time for the message, and how often it was not since the
// last.
func (s *seldom) say(now int64) (unsaid int, ok bool) {
	if now < s.next {
		s.unsaid++
		return 0, false
	}
	unsaid = s.unsaid
	s.next, s.unsaid = now+int64(seldomly), 0
	return unsaid, true
}
