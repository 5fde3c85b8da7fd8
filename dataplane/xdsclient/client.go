// Package xdsclient keeps the proxy's configuration up to date over one delta
// ADS stream: it asks for listeners and clusters by wildcard and for what they
// refer to by name, warms them before use, acknowledges what it decoded and
// refuses the rest by name, and hands complete sets to the engine. When the
// control plane is away, or wrong, what serves goes on serving.
package xdsclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/snapshot/build"
)

// Options of a Client. Node, ADS and Apply are required.
type Options struct {
	Node *corev3.Node
	ADS  discoveryv3.AggregatedDiscoveryServiceClient

	// Apply puts a set into force, whole or not at all. It is called from one
	// goroutine and must not wait for the network. An error that is a
	// *ListenerError costs only that listener.
	Apply func(*build.Set) error
	// Probe says whether a listener that is new could be bound; nil: yes.
	// It is asked before the listener is acknowledged.
	Probe func(*resource.Listener) error
	// Changed gets a value when the last set must be applied again.
	Changed <-chan struct{}

	// Saved is what an earlier run served; it is applied at once.
	Saved []*discoveryv3.Resource
	// Save is given what serves after each change. It must not block.
	Save func([]*discoveryv3.Resource)

	// Observe is told of each event, for statistics; nil: nobody.
	Observe func(Event)
	Log     *slog.Logger // nil: slog.Default()

	// Coalesce is how long changes gather before they are applied, 0 = 5 ms.
	// FirstWait bounds how long the first configuration waits to be complete,
	// 0 = 15 s (Envoy's initial_fetch_timeout).
	// Backoff bounds the waits between attempts to reconnect, 0 = 100 ms to 3 s.
	Coalesce, FirstWait    time.Duration
	BackoffMin, BackoffMax time.Duration
}

// ListenerError is a failure of Apply that one listener is to blame for.
type ListenerError struct {
	Name string
	Err  error
}

func (e *ListenerError) Error() string { return fmt.Sprintf("listener %q: %v", e.Name, e.Err) }

// Unwrap gives the cause.
func (e *ListenerError) Unwrap() error { return e.Err }

// Event is one thing that happened on the stream.
type Event struct {
	Kind    EventKind
	TypeURL string // of Updated and Rejected
}

// EventKind of an Event.
type EventKind uint8

// Kinds of events.
const (
	Connected EventKind = iota
	Disconnected
	Updated
	Rejected
	Applied
	ApplyFailed
)

// Client is one ADS client. Its fields belong to the goroutine of Run.
type Client struct {
	opts  Options
	cache *cache

	session *session // nil between connections
	events  chan event
	retry   *time.Timer
	backoff time.Duration

	apply    *time.Timer
	pending  bool                                  // apply is set
	retrying bool                                  // and it is set for a set that failed
	unsaid   []*discoveryv3.DeltaDiscoveryResponse // accepted, to be acknowledged once in force
	complete bool                                  // the first configuration is in force, or its wait is over
	heard    map[string]bool                       // types answered by this run's control plane
}

// New gives a Client; Run starts it.
func New(opts Options) (*Client, error) {
	if opts.Node.GetId() == "" || opts.ADS == nil || opts.Apply == nil {
		return nil, errors.New("xds client: node id, ADS and Apply are required")
	}
	setDefaults(&opts)
	c := &Client{
		opts:    opts,
		cache:   newCache(),
		events:  make(chan event),
		backoff: opts.BackoffMin,
		heard:   make(map[string]bool),
	}
	if err := c.cache.restore(opts.Saved); err != nil {
		return nil, fmt.Errorf("xds client: %w", err)
	}
	return c, nil
}

func setDefaults(o *Options) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	if o.Probe == nil {
		o.Probe = func(*resource.Listener) error { return nil }
	}
	if o.Save == nil {
		o.Save = func([]*discoveryv3.Resource) {}
	}
	defaultTo(&o.Coalesce, 5*time.Millisecond)
	defaultTo(&o.FirstWait, 15*time.Second)
	defaultTo(&o.BackoffMin, 100*time.Millisecond)
	defaultTo(&o.BackoffMax, 3*time.Second)
}

func defaultTo(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Run serves until ctx is done. It returns after its goroutines have ended.
func (c *Client) Run(ctx context.Context) {
	c.retry = time.NewTimer(0)
	c.apply = time.NewTimer(c.opts.FirstWait)
	defer c.retry.Stop()
	defer c.apply.Stop()
	if len(c.opts.Saved) > 0 {
		c.complete = true
		c.applyNow()
	}
	for {
		select {
		case <-ctx.Done():
			c.disconnect()
			return
		case <-c.retry.C:
			c.session = connect(ctx, c.opts.ADS, c.events)
		case e := <-c.events:
			c.handle(e)
		case <-c.apply.C:
			c.pending = false
			c.applyNow()
		case <-c.opts.Changed:
			c.schedule()
		}
	}
}

func (c *Client) handle(e event) {
	if e.session != c.session {
		return // of a connection that is given up already
	}
	switch {
	case e.err != nil:
		c.lost(e.err)
	case e.response == nil:
		c.opts.Observe(Event{Kind: Connected})
		c.opts.Log.Info("connected to the control plane")
		c.subscribeAll()
	default:
		c.backoff = c.opts.BackoffMin
		c.respond(e.response)
	}
}

func (c *Client) lost(err error) {
	wasOpen := c.session.open
	c.disconnect()
	if wasOpen {
		c.opts.Observe(Event{Kind: Disconnected})
	}
	wait := c.backoff/2 + rand.N(c.backoff/2+1)
	c.backoff = min(2*c.backoff, c.opts.BackoffMax)
	c.opts.Log.Warn("control plane is away, what serves goes on serving", "error", err, "retry_in", wait)
	c.retry.Reset(wait)
}

// disconnect waits for the session's goroutines, feeding on their last events.
func (c *Client) disconnect() {
	if c.session == nil {
		return
	}
	c.session.cancel(context.Canceled)
	for {
		select {
		case <-c.events:
		case <-c.session.done:
			c.session, c.unsaid = nil, nil
			return
		}
	}
}

// subscribeAll opens every type on a new stream, naming the versions that are
// here already.
func (c *Client) subscribeAll() {
	c.session.open = true
	node := c.opts.Node
	for _, url := range resource.Types {
		names := c.cache.wanted(url)
		if warms(url) {
			names = map[string]bool{"*": true}
		}
		if len(names) == 0 {
			continue
		}
		c.session.subscribe(url, names, c.cache.versions(url), node)
		node = nil // only the first request of a stream carries it
	}
}

// respond takes one response: accept what is good, ask for what the good
// refers to, then acknowledge. New names are asked for before the answer goes
// out, so that a control plane that sees the ACK of a cluster has already seen
// the cluster's subscriptions. Once there is a configuration, an ACK waits until
// what it confirms is in force: "programmed" is about requests, not about
// messages. A cluster or listener that is still warming is not waited for.
func (c *Client) respond(resp *discoveryv3.DeltaDiscoveryResponse) {
	url := resp.GetTypeUrl()
	if c.cache.accepted[url] == nil {
		c.answer(resp, fmt.Errorf("type %q was not asked for", url))
		return
	}
	err := c.cache.accept(resp, c.judge)
	c.heard[url] = true
	warming := c.cache.promote()
	c.cache.forget()
	c.adjust()
	c.opts.Log.Debug("took a response", "type", url, "resources", len(resp.GetResources()), "removed", len(resp.GetRemovedResources()), "warming", warming)
	c.complete = c.complete || c.isComplete(warming)
	if c.complete && err == nil {
		c.unsaid = append(c.unsaid, resp)
	} else {
		c.answer(resp, err)
	}
	c.schedule()
}

// acknowledge answers what waited for the engine; err refuses all of it.
func (c *Client) acknowledge(err error) {
	for _, resp := range c.unsaid {
		c.answer(resp, err)
	}
	c.unsaid = nil
}

// adjust asks for what is referred to now, and gives up what no longer is.
func (c *Client) adjust() {
	if c.session == nil || !c.session.open {
		return
	}
	for _, url := range resource.Types {
		if !warms(url) {
			c.session.adjust(url, c.cache.wanted(url))
		}
	}
}

// isComplete holds the first configuration back until clusters and listeners
// have come and are warm: half a configuration would answer 404 and 503.
func (c *Client) isComplete(warming []string) bool { return c.hasBegun() && len(warming) == 0 }

func (c *Client) hasBegun() bool {
	return c.heard[resource.ListenerType] && c.heard[resource.ClusterType]
}

func (c *Client) judge(r resource.Resource) error {
	l, ok := r.(*resource.Listener)
	if !ok || c.isBound(l) {
		return nil
	}
	if err := c.opts.Probe(l); err != nil {
		return fmt.Errorf("listener %q: %w", l.Name, err)
	}
	return nil
}

// isBound: addresses that active listeners have are ours already, whichever
// listener takes them over.
func (c *Client) isBound(l *resource.Listener) bool {
	var ours []netip.AddrPort
	for _, e := range c.cache.active[resource.ListenerType] {
		ours = append(ours, e.resource.(*resource.Listener).Bound()...)
	}
	wanted := l.Bound()
	for _, at := range wanted {
		if !slices.Contains(ours, at) {
			return false
		}
	}
	return len(wanted) > 0
}

func (c *Client) answer(resp *discoveryv3.DeltaDiscoveryResponse, err error) {
	answer := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()}
	kind := Updated
	if err != nil {
		kind = Rejected
		answer.ErrorDetail = &status.Status{Code: int32(codes.InvalidArgument), Message: err.Error()}
		c.opts.Log.Error("refused an update, the last good one stays", "type", resp.GetTypeUrl(), "error", err)
	}
	c.opts.Observe(Event{Kind: kind, TypeURL: resp.GetTypeUrl()})
	c.session.send(answer)
}
