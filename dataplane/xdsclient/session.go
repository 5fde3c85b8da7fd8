package xdsclient

import (
	"context"
	"errors"
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

// MaxMessage bounds one response, in bytes.
const MaxMessage = 64 << 20

// outbox bounds the requests that wait to be written. Each response causes at
// most five; a peer that lets this many pile up does not read.
const outbox = 1024

// event is what a session tells the client: it opened (no response, no err), a
// response came, or it ended.
type event struct {
	session  *session
	response *discoveryv3.DeltaDiscoveryResponse
	err      error
}

// session is one stream. Its methods are for the client's goroutine.
type session struct {
	cancel context.CancelCauseFunc
	done   chan struct{} // closed after the last event
	out    chan *discoveryv3.DeltaDiscoveryRequest

	open       bool
	subscribed map[string]map[string]bool // by type, what this stream asked for
}

func connect(ctx context.Context, ads discoveryv3.AggregatedDiscoveryServiceClient, events chan<- event) *session {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &session{
		cancel:     cancel,
		done:       make(chan struct{}),
		out:        make(chan *discoveryv3.DeltaDiscoveryRequest, outbox),
		subscribed: make(map[string]map[string]bool),
	}
	go func() {
		defer close(s.done)
		defer cancel(nil)
		err := s.read(ctx, ads, events)
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		events <- event{session: s, err: err} // the client listens until done is closed
	}()
	return s
}

func (s *session) read(ctx context.Context, ads discoveryv3.AggregatedDiscoveryServiceClient, events chan<- event) error {
	stream, err := ads.DeltaAggregatedResources(ctx, grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(MaxMessage))
	if err != nil {
		return err
	}
	writing := make(chan struct{})
	defer func() { <-writing }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(writing)
		s.write(ctx, stream)
	}()
	for e := (event{session: s}); ; {
		select {
		case events <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		e.response = resp
	}
}

// write ends with the stream's context; a failed Send shows in Recv.
func (s *session) write(ctx context.Context, stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient) {
	for {
		select {
		case <-ctx.Done():
			return
		case req := <-s.out:
			if err := stream.Send(req); err != nil {
				return
			}
		}
	}
}

var errNotReading = errors.New("the control plane does not read requests")

func (s *session) send(req *discoveryv3.DeltaDiscoveryRequest) {
	select {
	case s.out <- req:
	default:
		s.cancel(errNotReading)
	}
}

// subscribe makes the first request of a type.
func (s *session) subscribe(url string, names map[string]bool, versions map[string]string, node *corev3.Node) {
	s.subscribed[url] = maps.Clone(names)
	s.send(&discoveryv3.DeltaDiscoveryRequest{
		Node:                    node,
		TypeUrl:                 url,
		ResourceNamesSubscribe:  slices.Sorted(maps.Keys(names)),
		InitialResourceVersions: versions,
	})
}

// adjust asks for the names that are new and gives up the ones that are gone.
func (s *session) adjust(url string, names map[string]bool) {
	before := s.subscribed[url]
	added, gone := missing(names, before), missing(before, names)
	if len(added) == 0 && len(gone) == 0 {
		return
	}
	s.subscribed[url] = maps.Clone(names)
	s.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl:                  url,
		ResourceNamesSubscribe:   added,
		ResourceNamesUnsubscribe: gone,
	})
}

// missing lists what is in a and not in b, sorted.
func missing(a, b map[string]bool) []string {
	var out []string
	for name := range a {
		if !b[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
