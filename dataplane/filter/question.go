package filter

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshc/meshc/dataplane/route"
)

// Question is what a filter asks a service about a request, by one call of gRPC,
// before the request goes on. Its methods run on the event loop, as OnRequest
// does, and keep nothing of what they are given.
type Question interface {
	// Service is who is asked.
	Service() *Service
	// Holds is how many bytes of the request's body are read before the service is
	// asked; a body that is longer is answered 413. 0: the body is not read.
	Holds() int
	// Message is the message of the question, in the form of protobuf. body is all
	// of the body, nil where it is not read.
	Message(s *Stream, body []byte) ([]byte, error)
	// Judge says what the answer comes to.
	Judge(s *Stream, a *Answer) Verdict
}

// Answer is how a call has ended.
type Answer struct {
	// Code is the grpc-status; below 0 the service has not answered, or not in
	// terms of gRPC.
	Code    int
	Message []byte // where Code is 0
}

// Service is one method of gRPC, of the servers of a cluster.
type Service struct {
	Route     *route.Entry // leads to the cluster, within the time that a call has
	Authority string
	Path      string
	Timeout   string // as grpc-timeout says it; "" for none
}

// NewService gives the method called path of a service; fallback is the time that
// a call has where the service does not say it, 0 for ever.
func NewService(g *corev3.GrpcService, path string, fallback time.Duration) (*Service, error) {
	to := g.GetEnvoyGrpc()
	if to.GetClusterName() == "" {
		return nil, errors.New("grpc_service: needs an envoy_grpc with a cluster_name")
	}
	limit := fallback
	if g.GetTimeout() != nil {
		limit = g.GetTimeout().AsDuration()
	}
	if limit < 0 {
		return nil, fmt.Errorf("grpc_service: timeout %v is negative", limit)
	}
	s := &Service{
		Route:     &route.Entry{Clusters: []route.WeightedCluster{{Name: to.GetClusterName(), Weight: 1}}, Total: 1, Timeout: limit},
		Authority: to.GetAuthority(),
		Path:      path,
	}
	if s.Authority == "" {
		s.Authority = to.GetClusterName()
	}
	if limit > 0 {
		s.Timeout = grpcTimeout(limit)
	}
	return s, nil
}

// grpcTimeout writes at most eight digits, in the finest unit that does.
func grpcTimeout(d time.Duration) string {
	const most = 99999999
	for _, u := range []struct {
		length time.Duration
		name   string
	}{{time.Millisecond, "m"}, {time.Second, "S"}, {time.Minute, "M"}} {
		if n := int64((d + u.length - 1) / u.length); n <= most {
			return strconv.FormatInt(n, 10) + u.name
		}
	}
	return strconv.FormatInt(min(int64(d/time.Hour), most), 10) + "H"
}
