package benchreconcile

import (
	"context"
	"slices"
	"sync"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// Type URLs, and the order in which a proxy asks for them.
const (
	secrets   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
	clusters  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	endpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	listeners = "type.googleapis.com/envoy.config.listener.v3.Listener"
	routes    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

var urls = []string{clusters, endpoints, listeners, routes, secrets}

// proxy speaks delta ADS as a proxy does: it takes all clusters and listeners, asks
// for what they refer to, confirms at once, and says after a reconnect what it has.
type proxy struct {
	node    string
	address string
	creds   credentials.TransportCredentials

	mu     sync.Mutex
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	has    map[string]map[string]string // by type and name: the version
	asked  map[string][]string          // by type: names
	got    traffic
	failed error

	end func() // closes the connection and waits
}

// traffic is what has come since it was last taken.
type traffic struct {
	bytes, resources int
	last             time.Time // when the last response was confirmed
}

func newProxy(node, address string, creds credentials.TransportCredentials) *proxy {
	p := &proxy{node: node, address: address, creds: creds, has: map[string]map[string]string{}, asked: map[string][]string{}}
	for _, url := range urls {
		p.has[url] = map[string]string{}
	}
	return p
}

// connect opens a stream on a connection of its own.
func (p *proxy) connect() error {
	conn, err := grpc.NewClient("passthrough:///"+p.address, grpc.WithTransportCredentials(p.creds), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx, grpc.WaitForReady(true))
	if err != nil {
		cancel()
		conn.Close()
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream = stream
	for _, url := range urls {
		if url == clusters || url == listeners || len(p.asked[url]) > 0 {
			p.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, ResourceNamesSubscribe: p.asked[url], InitialResourceVersions: p.has[url]})
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			p.take(r)
		}
	}()
	p.end = func() {
		cancel()
		conn.Close()
		<-done
	}
	return nil
}

func (p *proxy) send(r *discoveryv3.DeltaDiscoveryRequest) {
	r.Node = &corev3.Node{Id: p.node}
	_ = p.stream.Send(r) // where the stream has ended, so does what receives
}

func (p *proxy) take(r *discoveryv3.DeltaDiscoveryResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	url := r.GetTypeUrl()
	p.got.bytes += proto.Size(r)
	p.got.resources += len(r.GetResources()) + len(r.GetRemovedResources())
	needs := map[string][]string{}
	for _, res := range r.GetResources() {
		p.has[url][res.GetName()] = res.GetVersion()
		if err := refersTo(url, res, needs); err != nil {
			p.failed = err
		}
	}
	for _, name := range r.GetRemovedResources() {
		delete(p.has[url], name)
	}
	p.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, ResponseNonce: r.GetNonce()})
	for _, to := range urls {
		var fresh []string
		for _, name := range needs[to] {
			if !slices.Contains(p.asked[to], name) {
				p.asked[to], fresh = append(p.asked[to], name), append(fresh, name)
			}
		}
		if len(fresh) > 0 {
			p.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: to, ResourceNamesSubscribe: fresh})
		}
	}
	p.got.last = time.Now()
}

// taken gives what came since the last call.
func (p *proxy) taken() traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.got
	p.got = traffic{}
	return out
}

// known has what each version of a resource refers to: proxies hold the same ones, and
// reading them is no part of what is measured.
var known sync.Map

type versioned struct{ url, name, version string }

func refersTo(url string, r *discoveryv3.Resource, to map[string][]string) error {
	if url != clusters && url != listeners {
		return nil
	}
	key := versioned{url, r.GetName(), r.GetVersion()}
	found, ok := known.Load(key)
	if !ok {
		m, err := r.GetResource().UnmarshalNew()
		if err != nil {
			return err
		}
		needs := map[string][]string{}
		if err := references(m.ProtoReflect(), needs); err != nil {
			return err
		}
		found, _ = known.LoadOrStore(key, needs)
	}
	for url, names := range found.(map[string][]string) {
		to[url] = append(to[url], names...)
	}
	return nil
}

// references finds what is to be asked for over ADS, also in what is packed.
func references(m protoreflect.Message, to map[string][]string) error {
	switch v := m.Interface().(type) {
	case *anypb.Any:
		if v.GetTypeUrl() == "" {
			return nil
		}
		inner, err := v.UnmarshalNew()
		if err != nil {
			return err
		}
		return references(inner.ProtoReflect(), to)
	case *clusterv3.Cluster:
		if v.GetType() == clusterv3.Cluster_EDS {
			name := v.GetEdsClusterConfig().GetServiceName()
			if name == "" {
				name = v.GetName()
			}
			to[endpoints] = append(to[endpoints], name)
		}
	case *hcmv3.Rds:
		to[routes] = append(to[routes], v.GetRouteConfigName())
	case *tlsv3.SdsSecretConfig:
		if v.GetSdsConfig().GetAds() != nil {
			to[secrets] = append(to[secrets], v.GetName())
		}
	}
	var failed error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, e protoreflect.Value) bool {
					failed = references(e.Message(), to)
					return failed == nil
				})
			}
		case fd.Message() == nil:
		case fd.IsList():
			for i := 0; i < v.List().Len() && failed == nil; i++ {
				failed = references(v.List().Get(i).Message(), to)
			}
		default:
			failed = references(v.Message(), to)
		}
		return failed == nil
	})
	return failed
}
