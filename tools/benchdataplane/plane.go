package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"                     // in what is decoded from JSON
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3" // likewise
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

const (
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
)

// plane is a control plane of one proxy, by delta ADS.
type plane struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	addr   string
	server *grpc.Server
	pushes chan *discoveryv3.DeltaDiscoveryResponse
	acks   chan *discoveryv3.DeltaDiscoveryRequest

	mu  sync.Mutex
	all map[string][]*discoveryv3.Resource // what a new stream gets, by type
}

func startPlane() (*plane, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &plane{
		addr: l.Addr().String(), server: grpc.NewServer(), all: map[string][]*discoveryv3.Resource{},
		pushes: make(chan *discoveryv3.DeltaDiscoveryResponse), acks: make(chan *discoveryv3.DeltaDiscoveryRequest, 64),
	}
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(p.server, p)
	go func() { _ = p.server.Serve(l) }()
	return p, nil
}

// DeltaAggregatedResources answers the first question about a type with all there
// is of it, and sends what is pushed.
func (p *plane) DeltaAggregatedResources(s discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	requests := make(chan *discoveryv3.DeltaDiscoveryRequest)
	go func() {
		defer close(requests)
		for {
			req, err := s.Recv()
			if err != nil {
				return
			}
			select {
			case requests <- req:
			case <-s.Context().Done():
				return
			}
		}
	}()
	said := map[string]bool{}
	for {
		var resp *discoveryv3.DeltaDiscoveryResponse
		select {
		case req, ok := <-requests:
			switch {
			case !ok:
				return nil
			case req.GetResponseNonce() != "":
				p.acks <- req
				continue
			case said[req.GetTypeUrl()]:
				continue
			}
			said[req.GetTypeUrl()] = true
			p.mu.Lock()
			resp = &discoveryv3.DeltaDiscoveryResponse{TypeUrl: req.GetTypeUrl(), Nonce: "first", Resources: p.all[req.GetTypeUrl()]}
			p.mu.Unlock()
		case resp = <-p.pushes:
		}
		if err := s.Send(resp); err != nil {
			return err
		}
	}
}

// push sends an update and gives how long it is until it is acknowledged.
func (p *plane) push(ctx context.Context, u *discoveryv3.DeltaDiscoveryResponse) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	begun := time.Now()
	select {
	case p.pushes <- u:
	case <-ctx.Done():
		return 0, errors.New("the proxy has no stream to the control plane")
	}
	for {
		select {
		case ack := <-p.acks:
			switch {
			case ack.GetErrorDetail() != nil:
				return 0, fmt.Errorf("the proxy refuses an update: %s", ack.GetErrorDetail().GetMessage())
			case ack.GetResponseNonce() == u.GetNonce():
				return time.Since(begun), nil
			}
		case <-ctx.Done():
			return 0, errors.New("the proxy does not acknowledge an update")
		}
	}
}

// serve has the plane give a proxy at addr what a static bootstrap would say.
func (p *plane) serve(h hop, addr string) error {
	listener, err := packed(listenerType, "in", "1", new(listenerv3.Listener), staticListener(h, addr))
	if err != nil {
		return err
	}
	clusters, err := clustersOf(h, "1")
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = map[string][]*discoveryv3.Resource{clusterType: clusters, listenerType: {listener}}
	return nil
}

// clustersOf gives the clusters of a hop in a version; versions differ in how long
// connecting may take.
func clustersOf(h hop, version string) ([]*discoveryv3.Resource, error) {
	var out []*discoveryv3.Resource
	for _, text := range xdsClusters(h) {
		c := new(clusterv3.Cluster)
		r, err := packed(clusterType, "", version, c, strings.Replace(text, `"connect_timeout":"5s"`, `"connect_timeout":"5.00`+version+`s"`, 1))
		if err != nil {
			return nil, err
		}
		r.Name = c.GetName()
		out = append(out, r)
	}
	return out, nil
}

func packed(url, name, version string, m proto.Message, text string) (*discoveryv3.Resource, error) {
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	value, err := proto.Marshal(m)
	return &discoveryv3.Resource{Name: name, Version: version, Resource: &anypb.Any{TypeUrl: url, Value: value}}, err
}

// dynamicBootstrap leads a proxy to the plane.
func dynamicBootstrap(h hop) string {
	return fmt.Sprintf(`{"node":{"id":"sidecar~bench/proxy","cluster":"bench"},
"static_resources":{"clusters":[{"name":"meshc-controller","type":"STATIC",%s
  "load_assignment":{"cluster_name":"meshc-controller","endpoints":[{"lb_endpoints":[{"endpoint":{"address":%s}}]}]}}]},
"dynamic_resources":{"ads_config":{"api_type":"DELTA_GRPC","transport_api_version":"V3","grpc_services":[{"envoy_grpc":{"cluster_name":"meshc-controller"}}]},
  "lds_config":{"ads":{},"resource_api_version":"V3"},"cds_config":{"ads":{},"resource_api_version":"V3"}}}`, overHTTP2, socketAddress(h.plane.addr))
}
