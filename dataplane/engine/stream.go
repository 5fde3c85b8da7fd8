package engine

import (
	"math"
	"net/netip"
	"time"

	"github.com/meshc/meshc/dataplane/endpoint"
	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// stream is the life of one request:
//
//	begin     → forwarded headers, route
//	filter    → each filter in order; it may delay or answer, or ask a service first
//	dispatch  → direct response, or cluster by weight, header mutations
//	attempt   → endpoint, pooled or new connection
//	exchange  → request up, response down, both streamed
//	finish    → counters, access log, connection back to the pool
//
// Whatever goes wrong on the way comes to fail (the upstream's side), cancel
// (the client's) or reply (an answer of our own).
type stream struct {
	w   *worker
	d   downstream
	who *peerInfo
	// client is who the request is from where trusted proxies say so; not valid: the peer.
	client netip.Addr
	view   *view
	chain  *chainView
	req    requestHead
	fs     filter.Stream
	phase  phase
	start  int64

	nextFilter int
	verdict    filter.Verdict // waiting out its delay
	wakeAt     int64          // end of a delay or of a retry's back-off
	pace       pace           // of the response, where a filter has slowed it down
	question   filter.Question
	holds      int   // bytes of the body that a filter has read before it goes on
	call       *call // that asks the question
	awaits     *filter.Event

	route     *route.Entry
	dest      *route.WeightedCluster
	cluster   *clusterView
	host      *host
	hostText  string // of the last attempt
	up        upstream
	attempts  int  // that have got a connection
	waiting   bool // in host's queue
	deadline  int64
	maxBy     int64 // end of the route's max_stream_duration
	tryBy     int64
	tryFrom   int64 // when the attempt had all of the request; 0: it has not
	triedAt   int64 // when the current attempt got its connection
	lastMove  int64
	sentEnd   bool // the whole request is with the upstream connection
	continued bool
	mirrored  bool    // the copies are on their way
	shadows   *shadow // they, while there is more of the request
	dropped   bool    // by a limit of the cluster
	ask       endpoint.Ask
	hash      uint64 // of the request, for its endpoint
	hashed    bool
	cookies   []message.Field // that the client gets
	reqBytes  int64
	respBytes int64

	retry   retryState
	tracked tracked // of the attempt
	rpc     rpc
	trace   trace
	encoded encoded

	resp     message.Response
	seen     filter.ResponseHead // resp, as filters are asked about it
	own      []message.Field     // backs resp.Fields of replies of our own
	headSent bool                // the response has begun
	grpcCode int                 // of a reply of our own, where the status does not say it
	flags    string
	details  string
}

type phase uint8

const (
	phaseFilters  phase = iota
	phaseSleep          // a filter's delay, or a retry's back-off
	phaseHold           // reading the body that a filter waits for
	phaseAsk            // waiting for the answer to a filter's question
	phaseConnect        // waiting for an upstream connection
	phaseExchange       // bytes go both ways
	phaseOver
)

// init makes s the exchange of d's next request, with nothing known of it yet.
func (s *stream) init(w *worker, d downstream, who *peerInfo, chain *chainView, req requestHead) {
	*s = stream{w: w, d: d, who: who, view: chain.view, chain: chain, req: req, start: w.now, lastMove: w.now, own: s.own[:0],
		retry: retryState{tried: s.retry.tried[:0]}}
	chain.stats.begin()
}

// begin starts the life of the request.
func (s *stream) begin() {
	random := s.w.draw()
	s.req.Metadata = nil // of an earlier request of the connection
	s.req.Fields = without(s.req.Fields, s.chain.http.RemoveEarly)
	s.setForwarded()
	if s.route = s.chain.http.Routes.Route(s.req.Request, random); s.route == route.BadPath {
		s.route = nil // no filter judges a path that nobody takes
		s.reply(400, "", "", "path_normalization_failed", false)
		return
	}
	if to := s.req.upgrade; to != "" && !s.route.MayUpgrade(to) {
		s.reply(403, "", "", "upgrade_failed", false)
		return
	}
	s.fs = filter.Stream{Request: s.req.Request, Route: s.route, Settled: s.route, Peer: s.peer(), Random: random, Draw: s.w.draw, Protocol: s.req.protocol, Length: s.req.said()}
	s.beginRPC()
	if s.chain.trace != nil {
		s.beginTrace()
	}
	s.boundDuration()
	s.armTimer()
}

// refuse answers a request that is at fault before it has begun.
func (s *stream) refuse(f fault) {
	s.reply(f.status, "", "DPE", f.details, false)
}

// run takes the stream as far as it goes now.
func (s *stream) run() {
	for {
		switch s.phase {
		case phaseFilters:
			s.filter()
		case phaseExchange:
			s.exchange()
			return
		case phaseHold:
			s.hold()
			if s.phase == phaseHold {
				return
			}
		case phaseAsk:
			s.heard()
			if s.phase == phaseAsk {
				return
			}
		case phaseSleep, phaseConnect:
			if s.d.gone() {
				s.d.drop()
			}
			return
		default:
			return
		}
	}
}

// filter goes on with the filters. A delay ends the call; its end comes back.
func (s *stream) filter() {
	filters := s.chain.http.Filters
	for s.nextFilter < len(filters) {
		f := filters[s.nextFilter]
		if s.fs.SwitchedOff(f.Name()) {
			s.nextFilter++
			continue
		}
		s.fs.Counts = s.chain.filterCounts[s.nextFilter]
		v := f.OnRequest(&s.fs)
		switch {
		case v.Ask != nil:
			s.inquire(v.Ask)
			return
		case v.Hold > 0 && !s.keepWhole(v.Hold):
			return
		}
		if !s.obey(&v) {
			return
		}
	}
	s.dispatch()
}

// obey does what a filter says; true: go on with the next.
func (s *stream) obey(v *filter.Verdict) bool {
	if len(v.Tally) > 0 {
		s.tally(v.Tally)
	}
	if v.Until == nil {
		s.nextFilter++
	}
	if v.Reroute && !s.reroute() {
		return false
	}
	if v.Until != nil {
		s.await(v.Until)
		return false
	}
	if v.Delay > 0 {
		s.addFlag(v.DelayFlag)
		s.verdict = *v
		s.sleep(v.Delay)
		return false
	}
	if v.Status != 0 {
		s.answer(v)
		return false
	}
	return true
}

// reroute chooses the route anew: a filter has found out what routes look at. It
// answers requests that the new route does not take.
func (s *stream) reroute() bool {
	s.route = s.chain.http.Routes.RouteAgain(s.req.Request, s.fs.Random)
	s.fs.Route = s.route
	s.maxBy = 0
	s.boundDuration()
	if to := s.req.upgrade; to != "" && !s.route.MayUpgrade(to) {
		s.reply(403, "", "", "upgrade_failed", false)
		return false
	}
	return true
}

// boundDuration says when the stream ends by its route.
func (s *stream) boundDuration() {
	if s.route == nil {
		return
	}
	if d := maxDuration(s.route.MaxDuration, s.req.Fields); d > 0 {
		s.maxBy = s.start + int64(d)
	}
}

func (s *stream) sleep(d time.Duration) {
	s.phase = phaseSleep
	s.wakeAt = s.w.now + int64(d)
	s.armTimer()
}

// wake is the end of a sleep: of a filter's delay, or of a back-off.
func (s *stream) wake() {
	s.wakeAt = 0
	s.lastMove = s.w.now          // sleeping was no idleness
	if s.phase == phaseExchange { // a response that is slowed down
		return
	}
	if s.retry.backingOff {
		s.retry.backingOff = false
		s.attempt()
		return
	}
	s.phase = phaseFilters
	if v := s.verdict; v.Status != 0 {
		s.answer(&v)
	}
}

func (s *stream) answer(v *filter.Verdict) {
	if v.Connection == "close" {
		s.d.closeAfter()
	}
	// Envoy knows the destination before its filters run: it is logged, and the
	// route's response headers apply to what a filter answers.
	if s.route != nil && s.route.Direct.Status == 0 {
		s.dest = s.route.Pick(s.splitValue())
	}
	s.grpcCode = v.GRPC
	s.reply(v.Status, v.Body, v.Flag, v.Details, !v.Bare)
}

// dispatch is the router: where does it go?
func (s *stream) dispatch() {
	r := s.route
	if r == nil {
		s.reply(404, "", "NR", "route_not_found", false)
		return
	}
	if r.Direct.Status != 0 {
		s.reply(r.Direct.Status, r.Direct.Body, "", "direct_response", true)
		return
	}
	s.dest = r.Pick(s.splitValue())
	if s.dest != nil {
		s.cluster = s.view.clusters[s.dest.Name]
	}
	if s.cluster == nil {
		s.reply(503, "", "NC", "cluster_not_found", true)
		return
	}
	if s.req.upgrade != "" && s.cluster.pool.multiplexes(s) {
		s.reply(403, "", "", "upgrade_failed", true)
		return
	}
	// Envoy's order: weighted cluster, then route; each removes, then adds.
	s.req.Fields = s.dest.Request.Apply(s.req.Fields)
	s.req.Fields = r.Request.Apply(s.req.Fields)
	if !s.rewrite(r.Rewrite) {
		s.reply(400, "", "", "rewritten_path_rejected", true)
		return
	}
	s.retry.init(r.Retry, s.req.Method)
	s.setHash()
	if s.d.bodyDone() {
		s.requestDone()
	}
	s.attempt()
}

// requestDone starts the route's timeout, which runs from the end of the request.
func (s *stream) requestDone() {
	s.tracked.complete = s.w.now
	if t := s.route.Timeout; t > 0 && s.deadline == 0 && s.req.upgrade == "" {
		s.deadline = s.w.now + int64(t)
		s.armTimer()
	}
}

// attempt sends the request, for the first time or again.
func (s *stream) attempt() {
	s.phase = phaseConnect
	s.tryBy, s.tryFrom = 0, 0
	s.tracked = tracked{from: s.w.now, complete: s.tracked.complete}
	if s.chain.trace != nil {
		s.traceAttempt()
	}
	i := s.choose()
	if i < 0 {
		s.cluster.pool.stats.noneHealthy.Inc()
		s.charge(503)
		s.reply(503, "no healthy upstream", "UH", "no_healthy_upstream", true)
		return
	}
	if len(s.route.Mirrors) > 0 && !s.mirrored {
		s.mirrored = true
		s.mirror()
	}
	s.host = s.cluster.hosts[i].of(s.who)
	s.hostText = s.host.text
	s.host.acquire(s)
}

// connected is called when an upstream connection is the stream's: the head
// goes out; what an earlier attempt has already read of the body follows as there
// is room.
func (s *stream) connected(u upstream) {
	s.up, s.phase, s.sentEnd, s.triedAt = u, phaseExchange, false, s.w.now
	s.retry.replay = s.retry.replay || u.state().multiplexed
	s.host.known.Connected()
	s.attempts++
	if st := s.counted(); st != nil {
		st.total.Inc()
	}
	s.retry.resent = 0
	u.sendHead(s.req.Request, s.req.framing, s.req.length)
	if len(s.retry.body) == 0 && s.d.bodyDone() {
		u.sendEnd(s.d.trailers())
		s.sentEnd = true
		s.startTry()
	}
}

// exchange moves bytes both ways until neither side can go on.
func (s *stream) exchange() {
	for turn := 0; s.phase == phaseExchange; turn++ {
		if turn == maxTurns {
			s.d.again()
			return
		}
		attempt := s.attempts
		moved := s.pumpRequest()
		if s.phase != phaseExchange {
			return
		}
		moved = s.pumpResponse() || moved
		if moved {
			s.lastMove = s.w.now
		}
		if moved || s.attempts != attempt { // the next may have begun at once
			continue
		}
		if s.phase == phaseExchange && s.sentEnd && s.d.gone() {
			s.d.drop()
		}
		return
	}
}

// minRoom is the least that is worth reading when output waits.
const minRoom = 4 << 10

// pumpRequest moves one piece of the request body, then flushes.
func (s *stream) pumpRequest() (moved bool) {
	u := s.up
	if !s.sentEnd && !u.state().broken {
		if u.room() == 0 {
			u.flush()
		}
		if room := u.room(); room > 0 {
			moved = s.moveRequest(u, room)
			if s.phase != phaseExchange {
				return moved
			}
		}
	}
	if u.flush() == ioError {
		// The upstream may have answered before it closed: read on.
		u.state().broken = true
	}
	return moved
}

func (s *stream) moveRequest(u upstream, room int) bool {
	if s.retry.resent < len(s.retry.body) {
		return s.resend(u, room)
	}
	piece, end, st := s.d.readBody(room)
	switch st {
	case ioAgain:
		if s.req.expect && !s.continued && !s.headSent {
			s.continued = true
			s.d.sendContinue()
		}
		return false
	case ioEOF, ioError:
		s.clientFailed()
		return false
	}
	s.reqBytes += int64(len(piece))
	s.tracked.sent += int64(len(piece))
	if s.rpc.is {
		s.rpc.asked.pass(piece)
	}
	s.keep(piece)
	if s.shadows != nil {
		s.feed(piece, end)
	}
	last := end && len(s.d.trailers()) == 0
	if u.sendBody(piece, last) == ioError {
		u.state().broken = true
	}
	if end {
		u.sendEnd(s.d.trailers())
		s.sentEnd = true
		s.requestDone()
		s.startTry()
	}
	return true
}

// resend moves one piece of what an earlier attempt has read of the body.
func (s *stream) resend(u upstream, room int) bool {
	r := &s.retry
	piece := r.body[r.resent:min(r.resent+room, len(r.body))]
	r.resent += len(piece)
	s.tracked.sent += int64(len(piece))
	end := r.resent == len(r.body) && s.d.bodyDone()
	if u.sendBody(piece, end && len(s.d.trailers()) == 0) == ioError {
		u.state().broken = true
	}
	if end {
		u.sendEnd(s.d.trailers())
		s.sentEnd = true
		s.startTry()
	}
	s.passed()
	return true
}

// clientFailed: the body broke off, or its framing is wrong. In the second case
// the client is told, if it can be.
func (s *stream) clientFailed() {
	f := s.d.bodyFault()
	if f == nil || s.headSent {
		s.d.drop()
		return
	}
	s.d.closeAfter()
	s.reply(f.status, "", "DPE", f.details, false)
}

// pumpResponse moves the head, or one piece of the body.
func (s *stream) pumpResponse() (moved bool) {
	if !s.headSent {
		head, st := s.up.readHead()
		switch st {
		case ioAgain:
			return false
		case ioOK:
			s.onHead(head)
			return true
		}
		s.fail(s.up.failure())
		return false
	}
	if s.d.room() == 0 {
		if s.d.flush() == ioError {
			s.d.cut()
			return false
		}
		if s.d.room() == 0 {
			return false
		}
	}
	room := s.d.room()
	if s.fs.Pace > 0 {
		if room = s.paced(room); room == 0 {
			return false
		}
	}
	piece, end, st := s.readResponse(room)
	switch {
	case st == ioAgain:
		if s.d.flush() == ioError {
			s.d.cut()
		}
		return false
	case st != ioOK:
		s.fail(s.up.failure())
		return false
	}
	s.respBytes += int64(len(piece))
	s.tracked.got += int64(len(piece))
	s.pace.left -= len(piece)
	var trailers []message.Field
	if end {
		if trailers = s.up.trailers(); len(trailers) > 0 {
			s.sampleTrailers(trailers)
		}
		s.rpc.setStatus(trailers)
	}
	if s.d.sendBody(piece, end && len(trailers) == 0) == ioError {
		s.d.cut()
		return false
	}
	if end {
		s.d.sendEnd(trailers)
		s.finish()
	}
	return true
}

// onHead takes the upstream's response head: try again, or pass it on.
func (s *stream) onHead(head *responseHead) {
	s.trace.status = head.Status
	s.heardHead(head)
	s.answered(head)
	if s.retryStatus(head) {
		return
	}
	s.charge(head.Status)
	s.judged(head)
	s.flags = s.flags + s.retry.exhausted
	s.resp.Status = head.Status
	s.rpc.setStatus(head.Fields)
	head.Fields = s.finishResponse(s.mutateResponse(append(head.Fields, s.cookies...)))
	s.resp.Fields = head.Fields
	s.details = "via_upstream"
	s.headSent = true
	s.passed()
	end := s.up.state().bodyEnd
	if s.encode(saidLength(head), end); s.encoded.by != nil {
		head.framing, head.length = message.Chunked, -1
	}
	s.d.sendHead(&s.resp, head.framing, head.length, end)
	if end {
		s.d.sendEnd(nil)
		s.finish()
	}
}

// reply answers without, or instead of, an upstream. router says that the
// router filter made it, so that the route's response headers apply, as in Envoy.
func (s *stream) reply(status int, body, flag, details string, router bool) {
	s.release(false)
	s.addFlag(flag)
	s.details = details
	fields := s.own[:0]
	switch {
	case message.IsGRPC(s.req.Fields):
		if s.grpcCode == 0 {
			s.grpcCode = grpcStatus(status)
		}
		if s.req.Method == "HEAD" {
			body = "" // the message is the body of other answers
		}
		fields = grpcFields(fields, s.grpcCode, body)
		s.rpc.status = int8(s.grpcCode)
		status, body = 200, ""
	case body != "":
		fields = append(fields, message.Field{Name: "content-type", Value: "text/plain"})
	}
	if s.dropped {
		fields = append(fields, message.Field{Name: "x-envoy-overloaded", Value: "true"})
	}
	s.resp.Status = status
	if router {
		fields = s.mutateResponse(s.location(fields))
	}
	s.own = s.finishResponse(fields)
	s.resp.Fields = s.own
	s.headSent = true
	if !s.d.bodyDone() {
		s.d.leaveBody()
	}
	text, framing := s.encodeReply([]byte(body))
	s.d.sendHead(&s.resp, framing, int64(len(text)), body == "")
	if body != "" && s.d.takesBody() {
		s.respBytes = int64(len(text))
		s.d.sendBody(text, true)
	}
	s.d.sendEnd(nil)
	s.finish()
}

// finish ends a stream whose response is complete.
func (s *stream) finish() {
	s.phase = phaseOver
	if s.up != nil {
		took := time.Duration(s.w.now - s.triedAt)
		s.cluster.pool.stats.rqTime.Observe(took)
		s.counted().took(took)
		s.spent()
		s.judgeCall()
	}
	s.observe()
	s.release(true)
	s.leaveShadows()
	s.d.endExchange()
}

// cancel ends a stream whose client is gone; d is being closed.
func (s *stream) cancel(flag, details string) {
	if s.phase == phaseOver {
		return
	}
	s.phase = phaseOver
	if s.flags == "" || !s.headSent {
		s.addFlag(flag)
	}
	if !s.headSent {
		s.details = details
	}
	s.observe()
	s.release(false)
	s.leaveShadows()
}

// release gives the upstream side back: to the pool if everything about it is
// in order and wanted, else it is closed.
func (s *stream) release(reuse bool) {
	if s.host != nil {
		s.measure()
		s.host.forget(s)
		s.host = nil
	}
	if u := s.up; u != nil {
		s.up = nil
		u.detach(reuse && s.sentEnd)
	}
	if c := s.call; c != nil {
		s.call = nil
		c.abandon()
	}
	if s.awaits != nil {
		s.leave()
	}
	s.encoded.release()
	s.retry.release(s)
}

func (s *stream) addFlag(flag string) {
	switch {
	case flag == "":
	case s.flags == "":
		s.flags = flag
	default:
		s.flags += "," + flag
	}
}

// armTimer sets the connection's timer to what is due first.
func (s *stream) armTimer() {
	at := int64(math.MaxInt64)
	if s.phase != phaseSleep {
		at = s.lastMove + s.streamIdle()
	}
	for _, t := range [...]int64{s.deadline, s.tryBy, s.trySilentBy(), s.wakeAt, s.maxBy} {
		if t != 0 && t < at {
			at = t
		}
	}
	s.d.setTimer(at)
}

func (s *stream) streamIdle() int64 {
	if s.route != nil && s.route.Idle > 0 {
		return int64(s.route.Idle)
	}
	return s.chain.stream
}

// onTimer looks at what is due. The connection runs on afterwards.
func (s *stream) onTimer() {
	now := s.w.now
	switch {
	case s.maxBy != 0 && now >= s.maxBy:
		s.outlived()
	case s.deadline != 0 && now >= s.deadline:
		s.timedOut()
		s.expire("upstream request timeout", "UT", "response_timeout")
	case s.wakeAt != 0 && now >= s.wakeAt:
		s.wake()
	case s.tryBy != 0 && now >= s.tryBy:
		s.tryBy = 0
		if s.headSent {
			break // the try has answered; only the overall timeout is left
		}
		s.cluster.pool.stats.perTryTimeout.Inc()
		s.host.count(rqTimeout)
		s.fail(failPerTry)
	case s.trySilentBy() != 0 && now >= s.trySilentBy():
		s.trySilent()
	case now-s.lastMove >= s.streamIdle() && s.phase != phaseSleep:
		s.expire("stream timeout", "SI", "stream_idle_timeout")
	}
	if s.phase != phaseOver {
		s.armTimer()
	}
}

// outlived ends a stream at its max_stream_duration: 504, or 408 while the
// request has not all come; gRPC clients are told that their deadline is over.
func (s *stream) outlived() {
	const text, flag, details = "downstream duration timeout", "DT", "max_duration_timeout"
	s.grpcCode = grpcDeadlineExceeded
	if !s.headSent && !s.d.bodyDone() {
		s.reply(408, text, flag, details, true)
		return
	}
	s.expire(text, flag, details)
}

// expire ends the stream for good: 504, or a cut when the response has begun.
func (s *stream) expire(body, flag, details string) {
	if s.headSent {
		s.addFlag(flag)
		s.details = details
		s.d.cut()
		return
	}
	s.reply(504, body, flag, details, true)
}
