package xds

import (
	"fmt"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/compiler/model"
)

// weightUnit makes basis points into cluster weights whose sum, 4,294,810,000,
// is just below Envoy's limit of 2^32-1. Envoy takes the weighted pick and
// other fractions of a stream from one random value: with a small sum they
// would be the same draw.
const weightUnit = 429_481

// routes says one rule for the port that the connection is for, where faults are
// for a part of its requests in several variants.
func (e *emitter) routes(name string, s *model.Service, r *model.Route, port uint16) ([]*routev3.Route, error) {
	var out []*routev3.Route
	for _, variant := range r.ForCaller(e.self.Service).Variants() {
		list, err := e.variant(name, s, variant, port)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// variant is one Envoy route per match, all with the same name and action.
func (e *emitter) variant(name string, s *model.Service, r *model.Route, port uint16) ([]*routev3.Route, error) {
	matches, err := routeMatches(r.Match)
	if err != nil {
		return nil, fmt.Errorf("route %q of %s: %w", name, s.Ref, err)
	}
	proto, err := e.route(name, s, r, port)
	if err != nil {
		return nil, fmt.Errorf("route %q of %s: %w", name, s.Ref, err)
	}
	if p := s.Port(port); p != nil && p.Protocol == model.GRPC {
		retryRPCs(proto)
	}
	out := make([]*routev3.Route, len(matches))
	for i, m := range matches {
		out[i] = &routev3.Route{
			Name:                    proto.Name,
			Match:                   m,
			Action:                  proto.Action,
			Metadata:                proto.Metadata,
			TypedPerFilterConfig:    proto.TypedPerFilterConfig,
			RequestHeadersToAdd:     proto.RequestHeadersToAdd,
			RequestHeadersToRemove:  proto.RequestHeadersToRemove,
			ResponseHeadersToAdd:    proto.ResponseHeadersToAdd,
			ResponseHeadersToRemove: proto.ResponseHeadersToRemove,
		}
	}
	return out, nil
}

// route says everything of a rule but its match.
func (e *emitter) route(name string, s *model.Service, r *model.Route, port uint16) (*routev3.Route, error) {
	out := &routev3.Route{
		Name:                    name,
		Metadata:                e.metadata(r.Origin, s.Owner),
		RequestHeadersToRemove:  r.RequestHeaders.Remove,
		ResponseHeadersToRemove: r.ResponseHeaders.Remove,
	}
	var err error
	if out.RequestHeadersToAdd, err = headerOptions(r.RequestHeaders); err != nil {
		return nil, err
	}
	if out.ResponseHeadersToAdd, err = headerOptions(r.ResponseHeaders); err != nil {
		return nil, err
	}
	if out.TypedPerFilterConfig, err = e.perFilter(r); err != nil {
		return nil, err
	}
	if r.Answers() {
		setAnswer(out, r)
		return out, nil
	}
	action, err := routeAction(s, r, port)
	out.Action = &routev3.Route_Route{Route: action}
	return out, err
}

func routeAction(s *model.Service, r *model.Route, port uint16) (*routev3.RouteAction, error) {
	retries, err := retryPolicy(r.Retry)
	if err != nil {
		return nil, err
	}
	out := &routev3.RouteAction{
		// Said even when it is 0: unsaid, Envoy takes 15 s.
		Timeout:     duration(r.Timeout),
		IdleTimeout: patience(r),
		RetryPolicy: retries,
		HashPolicy:  hashPolicy(r.Hash),
	}
	if r.IdleTimeout > 0 {
		out.IdleTimeout = duration(r.IdleTimeout)
	}
	if r.MaxDuration > 0 {
		out.MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{MaxStreamDuration: duration(r.MaxDuration)}
	}
	setRewrite(out, r.Rewrite)
	if err := setDestination(out, s, r.Split, port); err != nil {
		return nil, err
	}
	setPassing(out, s, r, port)
	return out, nil
}

// patience is the idle timeout of a stream that may rightly be silent for
// longer than the connection manager allows: while a server thinks within the
// route's timeout, or while a fault holds the request.
func patience(rules ...*model.Route) *durationpb.Duration {
	longest := streamIdleTimeout
	for _, r := range rules {
		silent := max(r.Timeout, r.IdleTimeout)
		if r.Delay != nil {
			silent += r.Delay.Fixed
		}
		longest = max(longest, silent)
	}
	if longest == streamIdleTimeout {
		return nil
	}
	return duration(longest)
}

func setDestination(out *routev3.RouteAction, s *model.Service, split []model.Split, port uint16) error {
	var sum uint64
	weighted := &routev3.WeightedCluster{}
	for _, d := range split {
		sum += uint64(d.BasisPoints)
		if s.Version(d.Version) == nil {
			return fmt.Errorf("it has no version %q", d.Version)
		}
		if d.BasisPoints == 0 {
			continue
		}
		cluster, err := clusterWeight(model.ClusterName(port, d.Version, s.Host), &d)
		if err != nil {
			return fmt.Errorf("destination %q: %w", d.Version, err)
		}
		weighted.Clusters = append(weighted.Clusters, cluster)
	}
	if sum != model.BasisPointsWhole {
		return fmt.Errorf("weights sum to %d basis points, not %d", sum, model.BasisPointsWhole)
	}
	if len(weighted.Clusters) == 1 && !changesAny(split[0].RequestHeaders, split[0].ResponseHeaders) {
		out.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: weighted.Clusters[0].Name}
		return nil
	}
	out.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
	return nil
}

func (e *emitter) perFilter(r *model.Route) (map[string]*anypb.Any, error) {
	fault, err := faultConfig(r, e.opts.Now)
	if err != nil || fault == nil && r.CORS == nil {
		return nil, err
	}
	out := make(map[string]*anypb.Any)
	if fault != nil {
		out[faultFilter] = fault
	}
	if r.CORS != nil {
		out[corsFilter], err = corsPolicy(r.CORS)
	}
	return out, err
}

// metadata says where a route was written and who answers for its service, for
// those who read a config dump.
func (e *emitter) metadata(o model.Origin, owner string) *corev3.Metadata {
	fields := make(map[string]string)
	if owner != "" {
		fields["owner"] = owner
	}
	if !o.IsZero() {
		fields["source"] = o.File + ":" + strconv.Itoa(int(o.Start.Line))
	}
	if e.opts.Commit != "" {
		fields["commit"] = e.opts.Commit
	}
	if len(fields) == 0 {
		return nil
	}
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{MetadataNamespace: stringStruct(fields)}}
}

// virtualHost takes every host of a listener that is for one service.
func virtualHost(name string, domains []string, routes []*routev3.Route) *routev3.VirtualHost {
	return &routev3.VirtualHost{Name: name, Domains: domains, Routes: routes}
}

// everything is one route to one cluster, however the request looks.
func everything(name, cluster string, action *routev3.RouteAction) *routev3.Route {
	action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: cluster}
	return &routev3.Route{
		Name:   name,
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: &routev3.Route_Route{Route: action},
	}
}
