package xds

import (
	"context"
	"errors"
	"io"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// rawClient is a proxy that speaks delta or state of the world by hand. It
// confirms what comes and follows references, in a goroutine of its own.
type rawClient struct {
	c      *controller
	world  bool
	delta  discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	sotw   discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	got    [typeCount]map[string]*discoveryv3.Resource
	subs   [typeCount]map[string]bool
	vers   [typeCount]string
	nonce  [typeCount]string
	log    []string // "+CDS name", "-CDS name", in the order of arrival
	bytes  []byte   // everything that came
	refuse func(t Type, names []string) string
	ended  error
}

func (c *controller) client(conn *grpc.ClientConn, world bool) *rawClient {
	c.t.Helper()
	r := &rawClient{c: c, world: world, done: make(chan struct{}), refuse: func(Type, []string) string { return "" }}
	for t := range r.got {
		r.got[t], r.subs[t] = map[string]*discoveryv3.Resource{}, map[string]bool{}
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	r.cancel = cancel
	ads := discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
	var err error
	if world {
		r.sotw, err = ads.StreamAggregatedResources(ctx)
	} else {
		r.delta, err = ads.DeltaAggregatedResources(ctx)
	}
	c.t.Cleanup(r.close)
	if r.ended = err; err != nil {
		close(r.done) // the connection was refused
	}
	return r
}

func (r *rawClient) close() {
	r.cancel()
	if r.done != nil {
		<-r.done
		r.done = nil
	}
}

// start opens with what a proxy asks for first, as the given node.
func (r *rawClient) start(node string) *rawClient {
	if r.ended != nil {
		return r
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range []Type{CDS, EDS, LDS, RDS, SDS} {
		if t == CDS || t == LDS || len(r.subs[t]) > 0 {
			r.ask(node, t, "", sorted(r.subs[t]), "", true)
		}
	}
	go r.loop()
	return r
}

func (r *rawClient) ask(node string, t Type, nonce string, names []string, nack string, first bool) {
	var detail *rpcstatus.Status
	if nack != "" {
		detail = &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: nack}
	}
	n := &corev3.Node{Id: node}
	if r.world {
		_ = r.sotw.Send(&discoveryv3.DiscoveryRequest{Node: n, TypeUrl: t.URL(), ResourceNames: sorted(r.subs[t]), VersionInfo: r.vers[t], ResponseNonce: nonce, ErrorDetail: detail})
		return
	}
	q := &discoveryv3.DeltaDiscoveryRequest{Node: n, TypeUrl: t.URL(), ResourceNamesSubscribe: names, ResponseNonce: nonce, ErrorDetail: detail}
	if first {
		q.InitialResourceVersions = map[string]string{}
		for name, res := range r.got[t] {
			q.InitialResourceVersions[name] = res.GetVersion()
		}
	}
	_ = r.delta.Send(q)
}

func (r *rawClient) loop() {
	defer close(r.done)
	for {
		d, err := r.recv()
		if err != nil {
			r.mu.Lock()
			r.ended = err
			r.mu.Unlock()
			return
		}
		r.take(d)
	}
}

// recv reads either protocol as a delta response.
func (r *rawClient) recv() (*discoveryv3.DeltaDiscoveryResponse, error) {
	if !r.world {
		return r.delta.Recv()
	}
	w, err := r.sotw.Recv()
	if err != nil {
		return nil, err
	}
	d := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: w.GetTypeUrl(), Nonce: w.GetNonce(), SystemVersionInfo: w.GetVersionInfo()}
	t, _ := typeOf(w.GetTypeUrl())
	seen := map[string]bool{}
	for _, body := range w.GetResources() {
		name := nameOf(body)
		seen[name] = true
		d.Resources = append(d.Resources, &discoveryv3.Resource{Name: name, Resource: body})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.got[t] {
		if !seen[name] && (t == CDS || t == LDS) {
			d.RemovedResources = append(d.RemovedResources, name)
		}
	}
	return d, nil
}

func nameOf(body *anypb.Any) string {
	m, err := body.UnmarshalNew()
	if err != nil {
		return err.Error()
	}
	switch m := m.(type) {
	case interface{ GetClusterName() string }:
		return m.GetClusterName()
	case interface{ GetName() string }:
		return m.GetName()
	}
	return ""
}

func (r *rawClient) take(d *discoveryv3.DeltaDiscoveryResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, _ := typeOf(d.GetTypeUrl())
	r.nonce[t] = d.GetNonce()
	var names []string
	for _, res := range d.GetResources() {
		names = append(names, res.GetName())
		raw, _ := proto.Marshal(res)
		r.bytes = append(r.bytes, raw...)
	}
	if why := r.refuse(t, names); why != "" {
		r.log = append(r.log, "!"+t.String())
		r.ask("", t, d.GetNonce(), nil, why, false)
		return
	}
	for _, res := range d.GetResources() {
		r.got[t][res.GetName()] = res
		r.log = append(r.log, "+"+Key{t, res.GetName()}.String())
	}
	for _, name := range d.GetRemovedResources() {
		delete(r.got[t], name)
		r.log = append(r.log, "-"+Key{t, name}.String())
	}
	r.vers[t] = d.GetSystemVersionInfo()
	r.ask("", t, d.GetNonce(), nil, "", false)
	r.followRefs()
}

func (r *rawClient) followRefs() {
	needs := map[Key]bool{}
	for _, t := range []Type{CDS, LDS} {
		for _, res := range r.got[t] {
			m, err := res.GetResource().UnmarshalNew()
			if err == nil {
				_ = walk(m.ProtoReflect(), func(v proto.Message) { collect(v, needs) })
			}
		}
	}
	for _, t := range []Type{SDS, EDS, RDS} {
		var fresh []string
		for k := range needs {
			if k.Type == t && !r.subs[t][k.Name] {
				fresh = append(fresh, k.Name)
				r.subs[t][k.Name] = true
			}
		}
		if len(fresh) > 0 {
			r.ask("", t, r.nonce[t], fresh, "", false)
		}
	}
}

// events takes the log so far.
func (r *rawClient) events() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.log
	r.log = nil
	return out
}

func (r *rawClient) has(k Key) *discoveryv3.Resource {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[k.Type][k.Name]
}

// code waits for the end of the stream.
func (r *rawClient) code() codes.Code {
	select {
	case <-r.done:
	case <-r.c.t.Context().Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(r.ended, io.EOF) {
		return codes.OK
	}
	return status.Code(r.ended)
}
