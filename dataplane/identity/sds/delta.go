package sds

import (
	"maps"
	"slices"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// DeltaSecrets is the incremental protocol. An unknown name is answered as a
// removed resource.
func (s *Server) DeltaSecrets(stream secretv3.SecretDiscoveryService_DeltaSecretsServer) error {
	ctx := stream.Context()
	changed := s.watch(ctx)
	reqs, end := receive(ctx, stream.Recv)
	d := &delta{server: s, send: stream.Send, has: map[string]string{}}
	for {
		var err error
		select {
		case req, ok := <-reqs:
			if !ok {
				return closed(<-end)
			}
			err = d.request(req)
		case _, ok := <-changed:
			if !ok {
				return ctx.Err()
			}
			err = d.push(nil)
		}
		if err != nil {
			return err
		}
	}
}

// delta is the state of one stream.
type delta struct {
	server *Server
	send   func(*discoveryv3.DeltaDiscoveryResponse) error

	has     map[string]string // subscribed known name → version that the peer has, "" for none
	counter int
}

func (d *delta) request(req *discoveryv3.DeltaDiscoveryRequest) error {
	if err := checkType(req.GetTypeUrl()); err != nil {
		return err
	}
	if e := req.GetErrorDetail(); e != nil {
		d.server.log.Warn("secrets refused by the proxy", "names", slices.Sorted(maps.Keys(d.has)), "error", e.GetMessage())
	}
	for _, n := range req.GetResourceNamesUnsubscribe() {
		delete(d.has, n)
	}
	var absent []string
	for _, n := range req.GetResourceNamesSubscribe() {
		if !d.server.known(n) {
			absent = append(absent, n)
			continue
		}
		// Subscribing again asks for the secret again.
		d.has[n] = req.GetInitialResourceVersions()[n]
	}
	return d.push(absent)
}

// push sends what the peer lacks, and tells it which names do not exist.
func (d *delta) push(absent []string) error {
	secrets, err := d.server.render(maps.Keys(d.has))
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	resp := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: secretType, RemovedResources: absent}
	for _, n := range slices.Sorted(maps.Keys(d.has)) {
		s, ok := secrets[n]
		if !ok || d.has[n] == s.version {
			continue
		}
		d.has[n] = s.version
		resp.Resources = append(resp.Resources, &discoveryv3.Resource{Name: n, Version: s.version, Resource: s.body})
	}
	if len(resp.Resources) == 0 && len(absent) == 0 {
		return nil
	}
	d.counter++
	resp.Nonce = strconv.Itoa(d.counter)
	return d.send(resp)
}
