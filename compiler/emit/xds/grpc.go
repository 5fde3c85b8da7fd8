package xds

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// grpc gives an application that reads xDS itself the grpc ports of what it
// uses, in terms that grpc-go understands. Ports of other protocols are none
// that a gRPC channel could reach.
func (e *emitter) grpc() error {
	s, err := e.ownService()
	if err != nil {
		return err
	}
	for _, ref := range s.Uses {
		if e.mesh.External(ref) != nil {
			continue
		}
		used, err := e.service(ref)
		if err != nil {
			return err
		}
		for _, p := range used.Ports {
			if p.Protocol != model.GRPC {
				continue
			}
			if err := e.grpcTarget(used, p.Number); err != nil {
				return err
			}
		}
	}
	return nil
}

// grpcTarget serves the channel "xds:///<host>:<port>".
func (e *emitter) grpcTarget(s *model.Service, port uint16) error {
	rc, err := e.grpcRoutes(s, port)
	if err != nil {
		return err
	}
	e.addRoutes(rc)
	api, err := apiListener(rc.Name)
	if err != nil {
		return err
	}
	e.addListener(&listenerv3.Listener{
		Name:        net.JoinHostPort(s.Host, strconv.Itoa(int(port))),
		ApiListener: api,
	})
	return e.serviceClusters(s, port)
}

func (e *emitter) grpcRoutes(s *model.Service, port uint16) (*routev3.RouteConfiguration, error) {
	name := model.OutboundName(port, s.Host)
	vhost := virtualHost(name, []string{"*"}, nil)
	for _, r := range s.Routes {
		if !appliesTo(r, port) || !r.TakesFrom(e.self.Service) {
			continue
		}
		for _, variant := range r.ForCaller(e.self.Service).Variants() {
			list, err := e.grpcRoute(s, variant, port)
			if err != nil {
				return nil, fmt.Errorf("for a client of role grpc, route %q of %s: %w", r.Name, s.Ref, err)
			}
			vhost.Routes = append(vhost.Routes, list...)
		}
	}
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{vhost}}, nil
}

// grpcRoute leaves out a rule that no RPC can match.
func (e *emitter) grpcRoute(s *model.Service, r *model.Route, port uint16) ([]*routev3.Route, error) {
	if changesHeaders(r) {
		return nil, fmt.Errorf("grpc-go cannot change headers")
	}
	if r.Rewrite != nil || r.Answers() {
		return nil, fmt.Errorf("grpc-go does not rewrite requests, redirect or answer by itself")
	}
	matches, err := grpcMatches(r.Match)
	if err != nil {
		return nil, err
	}
	if len(r.Match) > 0 && len(matches) == 0 {
		return nil, nil
	}
	readable := *r
	readable.Match = matches
	list, err := e.routes(r.Name, s, &readable, port)
	if err != nil {
		return nil, err
	}
	for _, route := range list {
		asGRPC(route, r)
	}
	return list, nil
}

func changesHeaders(r *model.Route) bool {
	all := []model.HeaderOps{r.RequestHeaders, r.ResponseHeaders}
	for _, d := range r.Split {
		all = append(all, d.RequestHeaders, d.ResponseHeaders)
	}
	return changesAny(all...)
}

// asGRPC says in grpc-go's terms what it does not read in Envoy's: the path
// specifier path_separated_prefix, the timeout (gRFC A31) and the retry policy
// (gRFC A44).
func asGRPC(out *routev3.Route, r *model.Route) {
	if sep := out.Match.GetPathSeparatedPrefix(); sep != "" {
		p := model.PathMatch{Kind: model.SegmentPrefix, Value: sep, IgnoreCase: out.Match.CaseSensitive != nil}
		out.Match.CaseSensitive = nil
		out.Match.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: regex(pathPattern(p))}
	}
	action := out.GetRoute()
	action.MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{MaxStreamDuration: duration(deadline(r))}
	action.RetryPolicy = grpcRetryPolicy(r.Retry)
}

// deadline of an RPC: the shorter of the two limits, where 0 is none.
func deadline(r *model.Route) time.Duration {
	if r.Timeout == 0 || r.MaxDuration == 0 {
		return max(r.Timeout, r.MaxDuration)
	}
	return min(r.Timeout, r.MaxDuration)
}

// grpcRetryPolicy: an RPC is a POST, and everything that the HTTP conditions
// speak of reaches a gRPC client as UNAVAILABLE. grpc-go has no timeout per
// try.
func grpcRetryPolicy(r *model.Retry) *routev3.RetryPolicy {
	if r == nil || r.Attempts == 0 || !methodsTake(r.Methods, "POST") {
		return nil
	}
	return &routev3.RetryPolicy{RetryOn: grpcRetryOn(r), NumRetries: uint32Value(r.Attempts), RetryBackOff: backOff(r.Backoff)}
}

// grpcRetryOn keeps the conditions of gRPC; all others become unavailable.
func grpcRetryOn(r *model.Retry) string {
	on := slices.DeleteFunc(slices.Clone(r.On), func(w string) bool { return !literal.IsGRPCRetry(w) })
	if len(on) < len(r.On)+len(r.Statuses) && !slices.Contains(on, "unavailable") {
		on = append(on, "unavailable")
	}
	slices.Sort(on)
	return strings.Join(on, ",")
}

func methodsTake(methods []string, method string) bool {
	return len(methods) == 0 || slices.Contains(methods, method)
}
