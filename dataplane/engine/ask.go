package engine

import (
	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
)

// inquire has a filter's question answered; what the filter says waits for it.
func (s *stream) inquire(q filter.Question) {
	s.question, s.holds = q, q.Holds()
	if s.holds == 0 || s.req.upgrade != "" || s.whole() {
		s.put()
	}
}

// whole says that all of the body, and no more than the stream holds of it, has
// been read; if not, that is seen to.
func (s *stream) whole() bool {
	switch {
	case len(s.retry.body) > s.holds: // an earlier filter has had more of it read
		s.tooLarge()
		return false
	case !s.d.bodyDone():
		s.phase = phaseHold
		return false
	}
	return true
}

// keepWhole has a filter's request read whole, up to most bytes; true: that is
// done, or there is no body.
func (s *stream) keepWhole(most int) bool {
	if s.req.upgrade != "" || s.req.framing == message.NoBody {
		return true
	}
	if s.holds = most; !s.whole() {
		return false
	}
	s.sized()
	return true
}

// sized gives a request that has been read whole its length, as Envoy's buffer
// filter does.
func (s *stream) sized() {
	if s.req.framing == message.Chunked {
		s.req.framing, s.req.length = message.Length, int64(len(s.retry.body))
	}
}

// hold reads the body that a filter waits for. It stays where attempts find
// what is to be sent again.
func (s *stream) hold() {
	r := &s.retry
	for turn := 0; s.phase == phaseHold; turn++ {
		if turn == maxTurns {
			s.d.again()
			return
		}
		left := s.holds - len(r.body)
		piece, end, st := s.d.readBody(min(left+1, largeBuffer))
		switch {
		case st == ioAgain && s.req.expect && !s.continued:
			s.continued = true
			s.d.sendContinue()
			return
		case st == ioAgain:
			return
		case st != ioOK:
			s.clientFailed()
			return
		case len(piece) > left:
			s.tooLarge()
			return
		}
		s.lastMove = s.w.now
		s.reqBytes += int64(len(piece))
		if s.rpc.is {
			s.rpc.asked.pass(piece)
		}
		if len(piece) > 0 {
			r.body = append(s.w.bufs.extend(r.body, len(piece)), piece...)
		}
		switch {
		case !end:
		case s.question != nil:
			s.put()
		default:
			s.sized()
			s.phase = phaseFilters
			s.nextFilter++
		}
	}
}

// tooLarge answers a request whose body is longer than a filter holds.
func (s *stream) tooLarge() {
	s.reply(413, "Payload Too Large", "", "request_payload_too_large", false)
}

// put puts the question.
func (s *stream) put() {
	s.phase = phaseAsk
	var body []byte
	if s.question.Holds() > 0 {
		body = s.retry.body
	}
	text, err := s.question.Message(&s.fs, body)
	if err != nil {
		if more, ok := s.w.unasked.say(s.w.now); ok {
			s.w.e.log.Warn("a service cannot be asked about a request", "service", s.question.Service().Authority, "error", err, "unsaid", more)
		}
		s.obeyAnswer(filter.Answer{Code: -1})
		return
	}
	s.call = s.w.newCall(s, s.question.Service(), text)
}

// heard goes on once the call has ended.
func (s *stream) heard() {
	c := s.call
	if c == nil || !c.over {
		if s.d.gone() {
			s.d.drop()
		}
		return
	}
	s.call = nil
	s.obeyAnswer(c.answer())
}

// obeyAnswer has the filter judge; the stream runs on afterwards.
func (s *stream) obeyAnswer(a filter.Answer) {
	q := s.question
	s.question, s.phase = nil, phaseFilters
	s.lastMove = s.w.now // waiting was no idleness
	v := q.Judge(&s.fs, &a)
	s.obey(&v)
}
