package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// failure is how an attempt came to nothing.
type failure uint8

const (
	failConnect failure = iota
	failConnectTimeout
	failReset
	failProtocol
	failPerTry
	failOverflow
	failRefused     // the server has promised that it did not act on the request
	failRemoteReset // the server has reset the stream
	failPerTryIdle
)

// outcome is what a failure becomes when it is not retried. The texts are
// Envoy's, so that what people search for finds its documentation.
var outcomes = [...]struct {
	status              int
	flag, details, body string
}{
	failConnect:        {503, "UF", "upstream_reset_before_response_started{remote_connection_failure}", "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"},
	failConnectTimeout: {503, "UF", "upstream_reset_before_response_started{connection_timeout}", "upstream connect error or disconnect/reset before headers. reset reason: connection timeout"},
	failReset:          {503, "UC", "upstream_reset_before_response_started{connection_termination}", "upstream connect error or disconnect/reset before headers. reset reason: connection termination"},
	failProtocol:       {502, "UPE", "upstream_reset_before_response_started{protocol_error}", "upstream connect error or disconnect/reset before headers. reset reason: protocol error"},
	failPerTry:         {504, "UT", "upstream_per_try_timeout", "upstream request timeout"},
	failPerTryIdle:     {504, "UT", "upstream_per_try_idle_timeout", "upstream request timeout"},
	failOverflow:       {503, "UO", "upstream_reset_before_response_started{overflow}", "upstream connect error or disconnect/reset before headers. reset reason: overflow"},
	failRefused:        {503, "UR", "upstream_reset_before_response_started{remote_refused_stream_reset}", "upstream connect error or disconnect/reset before headers. reset reason: remote refused stream reset"},
	failRemoteReset:    {503, "UR", "upstream_reset_before_response_started{remote_reset}", "upstream connect error or disconnect/reset before headers. reset reason: remote reset"},
}

// retryState follows Envoy's router: what may be tried again, how often, after
// how long.
type retryState struct {
	policy     *route.Retry // nil: none, or not for this method
	left       int
	next       time.Duration // bound of the next back-off
	max        time.Duration
	holding    bool // one of the cluster's retries is ours
	backingOff bool
	fresh      bool // do not use a pooled connection
	stale      bool // it was resent after a stale connection
	replay     bool // keep the body for an upstream that may not act on the request
	replayed   int
	body       []byte // what has been sent of the body so far
	resent     int    // of body, in this attempt
	lost       bool   // the body is longer than what is kept
	exhausted  string // flag to report when the last answer is passed on
	tried      []*host
	pause      time.Duration // that the server has asked for; 0: none
}

// Envoy's defaults for retry_back_off.
const defaultBackoff = 25 * time.Millisecond

func (r *retryState) init(p *route.Retry, method string) {
	if p == nil || p.RequestMatches != nil && !p.RequestMatches(method) {
		return
	}
	r.policy, r.left = p, p.Attempts
	r.next = p.BackoffBase
	if r.next == 0 {
		r.next = defaultBackoff
	}
	r.max = p.BackoffMax
	if r.max == 0 {
		r.max = 10 * r.next
	}
}

// replayBuffer bounds the body that is kept without a retry policy, for servers
// that go away: what most calls of gRPC fit in.
const replayBuffer = 16 << 10

// keep remembers what is sent of the body, as long as it may be needed again.
func (s *stream) keep(piece []byte) {
	r := &s.retry
	limit := s.w.e.opts.RetryBuffer
	if r.policy == nil {
		limit = min(limit, replayBuffer)
	}
	switch {
	case r.lost || len(piece) == 0:
	case s.headSent, r.policy == nil && !r.replay, len(r.body)+len(piece) > limit:
		r.lost = true
		r.drop(s.w)
	default:
		r.body = append(s.w.bufs.extend(r.body, len(piece)), piece...)
		r.resent = len(r.body)
	}
}

// passed lets go of the body once nothing will ask for it again: the response has
// begun, and all that is kept of the request is sent.
func (s *stream) passed() {
	if r := &s.retry; s.headSent && r.resent == len(r.body) {
		r.resent = 0
		r.drop(s.w)
	}
}

func (r *retryState) drop(w *worker) {
	if r.body != nil {
		w.bufs.put(r.body)
		r.body = nil
	}
}

// text says in the answer that there were earlier attempts, as Envoy does.
func (r *retryState) text(body string) string {
	if r.policy == nil || r.left == r.policy.Attempts {
		return body
	}
	return strings.Replace(body, "headers. reset", "headers. retried and the latest reset", 1)
}

// fail is the end of an attempt without a response. It is tried again, or
// answered, or, when the client has the head already, cut off.
func (s *stream) fail(why failure) {
	if s.phase == phaseOver {
		return
	}
	if s.headSent {
		s.blame(why)
		s.addFlag(outcomes[why].flag)
		s.details = "upstream_reset_after_response_started"
		s.d.cut()
		return
	}
	s.trace.flag = outcomes[why].flag
	again := s.stale(why) || s.untouched(why)
	reset := s.retry.policy != nil && s.resetRetriable(why)
	if !again {
		s.blame(why)
		if s.host != nil {
			s.host.count(rqError)
		}
	}
	s.release(false)
	if again {
		s.cluster.pool.stats.staleResent.Inc()
		s.attempt()
		return
	}
	if reset && s.tryAgain() {
		return
	}
	o := &outcomes[why]
	s.charge(o.status)
	if why == failPerTry || why == failPerTryIdle {
		s.spent()
	}
	s.addFlag(s.retry.exhausted)
	s.dropped = why == failOverflow
	s.reply(o.status, s.retry.text(o.body), o.flag, o.details, true)
}

// stale reports a pooled connection that the upstream closed just as it was used
// again, before it could see the request. RFC 9110 §9.2.2 and RFC 9112 §9.3.1 let
// a proxy send such a request once more when doing it twice does no harm; it is
// no retry and needs no policy. Envoy would answer 503.
func (s *stream) stale(why failure) bool {
	if why != failReset || s.up == nil || s.retry.stale {
		return false
	}
	try := s.up.state()
	if !try.reused || try.answered || s.req.framing != message.NoBody || !safe(s.req.Method) {
		return false
	}
	s.retry.stale, s.retry.fresh = true, true
	return true
}

// maxReplays bounds how often a request goes to a server that will not act on it.
const maxReplays = 3

// untouched reports a request that the server has promised not to have acted on:
// a stream above the last of its GOAWAY, or a refused one. RFC 9113 §8.7 lets any
// request be sent again then, and needs no policy for it.
func (s *stream) untouched(why failure) bool {
	r := &s.retry
	if why != failRefused || r.lost || r.replayed == maxReplays {
		return false
	}
	r.replayed++
	return true
}

func safe(method string) bool { return method == "GET" || method == "HEAD" || method == "OPTIONS" }

// resetRetriable is Envoy's RetryStateImpl::wouldRetryFromReset.
func (s *stream) resetRetriable(why failure) bool {
	on := s.retry.policy.On
	switch {
	case why == failOverflow:
		return false
	case on&(route.RetryReset|route.Retry5xx|route.RetryGatewayError) != 0:
		return true
	case on&route.RetryRefusedStream != 0 && why == failRefused:
		return true
	case on&route.RetryConnectFailure != 0 && (why == failConnect || why == failConnectTimeout):
		return true
	case on&route.RetryResetBeforeRequest != 0:
		// A reused connection that closes without a byte may have been closed
		// before the request came, or by what it did: that is not "before".
		return s.up == nil || !s.up.state().sentHead
	}
	return false
}

// retryStatus decides on a response head (RetryStateImpl::wouldRetryFromHeaders)
// and starts the next attempt when it says yes.
func (s *stream) retryStatus(head *responseHead) bool {
	p := s.retry.policy
	if p == nil || !statusRetriable(p, head.Status) && !grpcRetriable(p.On, head.Fields) {
		return false
	}
	if _, limited := message.Get(head.Fields, "x-envoy-ratelimited"); limited {
		return false
	}
	if !s.mayRetry() {
		return false
	}
	s.retry.pause, _ = p.ResetAfter(head.Fields, s.w.wall)
	s.cluster.pool.stats.retriedResponse(head.Status)
	s.host.count(rqError)
	s.release(s.up.state().bodyEnd)
	s.backOff()
	return true
}

func statusRetriable(p *route.Retry, status int) bool {
	on := p.On
	return on&route.Retry5xx != 0 && status >= 500 ||
		on&route.RetryGatewayError != 0 && status >= 502 && status <= 504 ||
		on&route.RetryRetriable4xx != 0 && status == 409 ||
		on&route.RetryRetriableStatusCodes != 0 && slices.Contains(p.Statuses, status)
}

func (s *stream) tryAgain() bool {
	if !s.mayRetry() {
		return false
	}
	s.backOff()
	return true
}

// mayRetry takes one of the retries that are left and one of the cluster's.
func (s *stream) mayRetry() bool {
	r, stats := &s.retry, s.cluster.pool.stats
	r.letGo(s)
	switch {
	case r.lost:
		return false
	case r.left == 0:
		stats.retryLimit.Inc()
		if st := s.counted(); st != nil {
			st.retryLimit.Inc()
		}
		r.exhausted = "URX"
		return false
	}
	r.left--
	if !s.cluster.pool.brk.TakeRetry() {
		stats.retryOverflow.Inc()
		if st := s.counted(); st != nil {
			st.retryOverflow.Inc()
		}
		r.exhausted = "UO"
		return false
	}
	r.holding = true
	stats.retry.Inc()
	if st := s.counted(); st != nil {
		st.retry.Inc()
	}
	return true
}

// letGo gives back the cluster's retry that is ours.
func (r *retryState) letGo(s *stream) {
	if r.holding {
		r.holding = false
		s.cluster.pool.brk.ReleaseRetry()
	}
}

// backOff waits for a random time below a bound that doubles: full jitter. A
// pause that the server has asked for is kept, and up to half of it more.
func (s *stream) backOff() {
	r, stats := &s.retry, s.cluster.pool.stats
	r.backingOff, r.fresh = true, false
	s.tryBy, s.tryFrom = 0, 0
	if pause := r.pause; pause > 0 {
		r.pause = 0
		stats.retryLimited.Inc()
		s.sleep(pause + time.Duration(s.w.draw()%uint64(max(pause/2, 1))))
		return
	}
	stats.retryExponential.Inc()
	wait := time.Duration(s.w.draw() % uint64(max(r.next, 1)))
	r.next = min(2*r.next, r.max)
	s.sleep(wait)
}

// release gives back the retry when the stream is over.
func (r *retryState) release(s *stream) {
	if s.phase == phaseOver || s.headSent {
		r.drop(s.w)
		r.letGo(s)
		clear(r.tried) // endpoints that are gone need not stay
	}
}
