package filter

import "github.com/meshc/meshc/dataplane/message"

// Responder is a filter that looks at responses, too, whoever gives them, once all
// else is done to their heads. Those of a chain are asked in the opposite order of
// the chain.
type Responder interface {
	HTTP
	// OnResponse runs on the event loop, may change the fields of the head, and
	// keeps nothing of it. It gives what the body is to be put through, nil for
	// nothing.
	OnResponse(*Stream, *ResponseHead) Encoder
}

// Sampler is a Responder that keeps a record of how requests end. It is asked about
// the heads of upgrades, too.
type Sampler interface {
	Responder
	// OnTrailers runs on the event loop once the body of a response from upstream has
	// ended, if trailers follow it.
	OnTrailers(*Stream, []message.Field)
}

// Sampling says what a Sampler makes of a request.
type Sampling uint8

// Sampled by the head of its answer is what becomes of a request when nobody says
// otherwise; of one that is SampledByTrailers the head says only that they will
// tell. Unsampled requests have been refused by the Sampler itself.
const (
	Sampled Sampling = iota
	SampledByTrailers
	Unsampled
)

// ResponseHead is the head of a response on its way to the client.
type ResponseHead struct {
	Response *message.Response
	Length   int64 // of the body as the head says it; below 0: it does not
	Bare     bool  // nothing follows
}

// Encoder writes the body of one response in another form.
type Encoder interface {
	// Encode appends to dst what piece comes to, so that the client can read all of
	// it; end: nothing follows.
	Encode(dst, piece []byte, end bool) ([]byte, error)
	// Release gives the Encoder back; it is not used any more.
	Release()
}

// Off is the per-route config that switches a filter off.
type Off struct{}

// SwitchedOff says that the request does without the filter called name.
func (s *Stream) SwitchedOff(name string) bool {
	if s.Settled == nil || len(s.Settled.PerFilter) == 0 {
		return false
	}
	_, off := s.Settled.PerFilter[name].(Off)
	return off
}
