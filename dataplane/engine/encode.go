package engine

import (
	"slices"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
)

// responder is a filter of a chain that looks at responses.
type responder struct {
	filter.Responder
	at      int // in the chain
	name    string
	sampler filter.Sampler // it as such; nil: it is none
}

func respondersOf(filters []filter.HTTP) []responder {
	var out []responder
	for i, f := range slices.Backward(filters) {
		if r, ok := f.(filter.Responder); ok {
			sampler, _ := f.(filter.Sampler)
			out = append(out, responder{r, i, f.Name(), sampler})
		}
	}
	return out
}

// encoded is the body of a response that a filter writes in another form: a piece
// of the upstream's is taken once all that the one before has come to is sent.
type encoded struct {
	by  filter.Encoder // nil: the body is passed on as it is
	out []byte         // what the last piece has come to
	at  int            // of out: what is sent
	end bool           // out is the last of it
}

// release gives back what the body was written with.
func (e *encoded) release() {
	if e.by != nil {
		e.by.Release()
		*e = encoded{}
	}
}

// saidLength is the length of the body as the head of the response says it.
func saidLength(head *responseHead) int64 {
	if head.framing == message.Length || head.framing == message.NoBody && head.length > 0 { // as answers to HEAD say it
		return head.length
	}
	return -1
}

// encode asks the filters of the chain what to do with the response, whose head is
// s.resp. One of them at most writes its body in another form.
func (s *stream) encode(length int64, bare bool) {
	if len(s.chain.responders) == 0 {
		return
	}
	head := &s.seen // not of its own on the heap
	*head = filter.ResponseHead{Response: &s.resp, Length: length, Bare: bare}
	for i := range s.chain.responders {
		r := &s.chain.responders[i]
		if s.fs.SwitchedOff(r.name) || s.resp.Status == 101 && r.sampler == nil {
			continue
		}
		s.fs.Counts = s.chain.filterCounts[r.at]
		if by := r.OnResponse(&s.fs, head); by != nil {
			s.encoded, head.Length = encoded{by: by}, -1
		}
	}
}

// sampleTrailers shows trailers to the filters that wait for them.
func (s *stream) sampleTrailers(trailers []message.Field) {
	for i := range s.chain.responders {
		r := &s.chain.responders[i]
		if r.sampler == nil || s.fs.SwitchedOff(r.name) {
			continue
		}
		s.fs.Counts = s.chain.filterCounts[r.at]
		r.sampler.OnTrailers(&s.fs, trailers)
	}
}

// encodeReply is encode for a reply of our own, whose body and framing it gives.
func (s *stream) encodeReply(body []byte) ([]byte, message.Framing) {
	framing, length := message.Length, int64(len(body))
	if length == 0 {
		framing, length = message.NoBody, -1
	}
	s.encode(length, length < 0 || s.req.Method == "HEAD")
	s.own = s.resp.Fields
	if s.encoded.by == nil {
		return body, framing
	}
	defer s.encoded.release()
	out, err := s.encoded.by.Encode(nil, body, true)
	if err != nil {
		s.w.e.log.Error("a reply cannot be encoded", "error", err)
	}
	return out, message.Chunked
}

// readResponse gives the next piece of the body as the client gets it.
func (s *stream) readResponse(room int) (piece []byte, end bool, st ioState) {
	e := &s.encoded
	if e.at == len(e.out) && !e.end {
		piece, end, st = s.up.readBody(room)
		if st != ioOK {
			return nil, false, st
		}
		if s.rpc.is {
			s.rpc.told.pass(piece)
		}
		if e.by == nil {
			return piece, end, ioOK
		}
		var err error
		if e.out, err = e.by.Encode(e.out[:0], piece, end); err != nil {
			s.w.e.log.Error("a response cannot be encoded", "error", err)
			return nil, false, ioError
		}
		e.at, e.end = 0, end
	}
	piece = e.out[e.at:min(len(e.out), e.at+room)]
	e.at += len(piece)
	return piece, e.end && e.at == len(e.out), ioOK
}
