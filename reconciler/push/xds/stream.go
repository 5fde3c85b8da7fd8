package xds

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// helloTimeout is how long a stream may stay without its first request.
const helloTimeout = 30 * time.Second

// wire is one of the two protocols on one gRPC stream.
type wire interface {
	// recv blocks for the next request and gives its node, and a function that
	// feeds it to a session.
	recv() (*corev3.Node, func(*session, time.Time) error, error)
	send(*response) error
	full() bool
}

type deltaWire struct {
	discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer
}

func (w deltaWire) recv() (*corev3.Node, func(*session, time.Time) error, error) {
	r, err := w.Recv()
	return r.GetNode(), func(s *session, now time.Time) error { return s.delta(now, r) }, err
}
func (w deltaWire) send(r *response) error { return w.Send(r.delta()) }
func (w deltaWire) full() bool             { return false }

type worldWire struct {
	discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer
}

func (w worldWire) recv() (*corev3.Node, func(*session, time.Time) error, error) {
	r, err := w.Recv()
	return r.GetNode(), func(s *session, now time.Time) error { return s.world(now, r) }, err
}
func (w worldWire) send(r *response) error { return w.Send(r.world()) }
func (w worldWire) full() bool             { return true }

// DeltaAggregatedResources serves the incremental protocol.
func (s *Server) DeltaAggregatedResources(g discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.serve(g.Context(), deltaWire{g})
}

// StreamAggregatedResources serves the state-of-the-world protocol.
func (s *Server) StreamAggregatedResources(g discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.serve(g.Context(), worldWire{g})
}

// stream is one ADS stream. All but published and doubtful belongs to its serve goroutine.
type stream struct {
	server    *Server
	node      string
	id        string // SPIFFE ID of the peer
	chain     []*x509.Certificate
	since     time.Time
	session   *session
	epoch     uint64       // of the trust bundles that the client was last held against; 0: none
	published StreamStatus // guarded by server.mu
	doubtful  atomic.Bool  // see Options.Genuine
}

// request is what the receiving goroutine hands over.
type request struct {
	node *corev3.Node
	feed func(*session, time.Time) error
	err  error
}

// serve runs one stream to its end.
func (s *Server) serve(ctx context.Context, w wire) error {
	err := s.lead(ctx, w)
	if errors.Is(err, io.EOF) {
		return nil // the client has no more to say and leaves
	}
	return err
}

// lead runs one stream. Two goroutines do the blocking calls, one request and
// one response at a time, so that a client which does not read holds up nobody
// and nothing queues for it: a response is planned only when the one before it
// of its type was answered.
func (s *Server) lead(ctx context.Context, w wire) error {
	id, ok := identity(ctx)
	if !ok {
		return status.Error(codes.Unauthenticated, "stream has no identity")
	}
	requests := receive(ctx, w)
	hello, err := first(ctx, requests)
	if err != nil {
		return err
	}
	st, newer, err := s.ready(ctx)
	if err != nil {
		return err
	}
	str := &stream{server: s, node: hello.node.GetId(), id: id.String(), chain: peerChain(ctx), since: s.opts.Now()}
	if err := str.authorize(st); err != nil {
		return err
	}
	str.judge()
	str.session = newSession(w.full(), s.opts.Timeout, s.open(str))
	defer s.close(str)
	str.session.setDesired(st.nodes[str.node])
	if err := hello.feed(str.session, s.opts.Now()); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return str.run(ctx, w, requests, newer)
}

// run moves events into the session and its responses out, until the stream
// or the right to it ends.
func (str *stream) run(ctx context.Context, w wire, requests <-chan request, newer <-chan struct{}) error {
	out, sent := make(chan *response), make(chan error)
	defer close(out)
	go transmit(ctx, w, out, sent)
	var queue []*response // at most one per type: the session waits for answers
	sending := false
	for {
		queue = append(queue, str.session.plan(str.server.opts.Now())...)
		str.publish()
		timer, stop := str.alarm()
		var next chan<- *response
		var head *response
		if len(queue) > 0 && !sending {
			next, head = out, queue[0]
		}
		var err error
		select {
		case <-ctx.Done():
			err = status.FromContextError(ctx.Err()).Err()
		case r := <-requests:
			err = str.take(r)
		case next <- head:
			queue, sending = queue[1:], true
		case err = <-sent:
			sending = false
		case <-newer:
			newer, err = str.refresh()
		case <-timer:
		}
		stop()
		if err != nil {
			return err
		}
	}
}

// take feeds one request. Its node is not looked at: the first one counts.
func (str *stream) take(r request) error {
	if r.err != nil {
		return r.err
	}
	if err := r.feed(str.session, str.server.opts.Now()); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return nil
}

// refresh takes the newest desired state, however many came meanwhile.
func (str *stream) refresh() (<-chan struct{}, error) {
	st, newer := str.server.watch()
	if !str.trusted(st) {
		return nil, status.Error(codes.Unauthenticated, "the root of the client's certificate is trusted no more")
	}
	if err := str.authorize(st); err != nil {
		return nil, err
	}
	str.judge()
	str.session.setDesired(st.nodes[str.node])
	return newer, nil
}

// trusted says whether the authorities of now have signed the certificate of the
// client. It is asked once for each state of the trust bundles, which are what it
// depends on: it verifies signatures.
func (str *stream) trusted(st *state) bool {
	ask := str.server.opts.Trusted
	if ask == nil || str.epoch == st.epoch {
		return true
	}
	if !ask(str.chain) {
		return false
	}
	str.epoch = st.epoch
	return true
}

// judge looks whether the stream counts; what it depends on changes with the bundle.
func (str *stream) judge() {
	genuine := str.server.opts.Genuine
	str.doubtful.Store(genuine != nil && !genuine(str.chain))
}

// authorize checks the claimed node against the proven identity. What a node
// may see is its own set; whose set that is, the certificate decides.
func (str *stream) authorize(st *state) error {
	set := st.nodes[str.node]
	switch {
	case str.node == "":
		return status.Error(codes.InvalidArgument, "first request has no node.id")
	case set == nil:
		return status.Errorf(codes.Unavailable, "node %q is not known to discovery", str.node)
	case set.spiffeID != str.id:
		return status.Errorf(codes.PermissionDenied, "node %q is not %s", str.node, str.id)
	}
	return nil
}

// alarm gives the timer of the next wait that runs out.
func (str *stream) alarm() (<-chan time.Time, func()) {
	end, ok := str.session.next()
	if !ok {
		return nil, func() {}
	}
	t := time.NewTimer(end.Sub(str.server.opts.Now()))
	return t.C, func() { t.Stop() }
}

// receive reads requests one by one until the stream ends.
func receive(ctx context.Context, w wire) <-chan request {
	requests := make(chan request)
	go func() {
		for {
			var r request
			r.node, r.feed, r.err = w.recv()
			select {
			case requests <- r:
			case <-ctx.Done():
				return
			}
			if r.err != nil {
				return
			}
		}
	}()
	return requests
}

func transmit(ctx context.Context, w wire, out <-chan *response, sent chan<- error) {
	for r := range out {
		select {
		case sent <- w.send(r):
		case <-ctx.Done():
			return
		}
	}
}

// first waits for the first request, for a bounded time.
func first(ctx context.Context, requests <-chan request) (request, error) {
	t := time.NewTimer(helloTimeout)
	defer t.Stop()
	select {
	case r := <-requests:
		return r, r.err
	case <-t.C:
		return request{}, status.Errorf(codes.DeadlineExceeded, "no request within %s", helloTimeout)
	case <-ctx.Done():
		return request{}, status.FromContextError(ctx.Err()).Err()
	}
}

// ready waits for the first desired state: an empty answer after a restart of
// the controller would take everything away from a proxy that serves.
func (s *Server) ready(ctx context.Context) (*state, <-chan struct{}, error) {
	for {
		st, newer := s.watch()
		if st != nil {
			return st, newer, nil
		}
		select {
		case <-newer:
		case <-ctx.Done():
			return nil, nil, status.FromContextError(ctx.Err()).Err()
		}
	}
}

// open books a stream and gives the memory of its node.
func (s *Server) open(str *stream) *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.memories[str.node]
	if m == nil {
		m = &memory{}
		s.memories[str.node] = m
	}
	s.streams[str.node] = append(s.streams[str.node], str)
	return m
}

func (s *Server) close(str *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.streams[str.node]
	for i := range list {
		if list[i] == str {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if s.streams[str.node] = list; len(list) == 0 {
		delete(s.streams, str.node)
	}
	s.notify()
}

// publish makes the session's status visible.
func (str *stream) publish() {
	st := str.session.status(str.since)
	st.bundles = str.session.bundles(str.published.bundles)
	str.server.mu.Lock()
	defer str.server.mu.Unlock()
	str.published = st
	str.server.notify()
}
