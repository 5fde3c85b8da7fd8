package xds

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	ratelimitconfv3 "github.com/envoyproxy/go-control-plane/envoy/config/ratelimit/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	exprv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/rate_limit_descriptors/expr/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/model"
)

// limitPrefix and the name of a limit are the name of its filter: each limit has
// one, because status and headers are those of a filter and not of a bucket.
const limitPrefix = "meshc.limit."

// limitFilters are behind the filters that judge who is let in: what is refused
// there takes nothing from others.
func (e *emitter) limitFilters(list []model.RateLimit) ([]*hcmv3.HttpFilter, error) {
	var out []*hcmv3.HttpFilter
	for i := range list {
		l := &list[i]
		config, err := e.limitConfig(l)
		if err != nil {
			return nil, fmt.Errorf("rate limit %q: %w", l.Name, err)
		}
		f, err := httpFilter(limitPrefix+l.Name, config)
		if err != nil {
			return nil, err
		}
		f.Disabled = len(l.Routes) > 0 // its routes enable it
		out = append(out, f)
	}
	return out, nil
}

func (e *emitter) limitConfig(l *model.RateLimit) (proto.Message, error) {
	rates, err := e.limitRates(l)
	if err != nil {
		return nil, err
	}
	if l.Local == nil {
		return e.globalLimit(l, rates)
	}
	return localLimit(l, rates), nil
}

// localLimit has a bucket of its own where it is for every request, and one for
// each descriptor elsewhere: requests without one are not limited.
func localLimit(l *model.RateLimit, rates []*routev3.RateLimit) *localv3.LocalRateLimit {
	bucket := &typev3.TokenBucket{
		MaxTokens: l.Local.Burst, TokensPerFill: uint32Value(l.Local.Requests), FillInterval: duration(l.Local.Per),
	}
	out := &localv3.LocalRateLimit{
		StatPrefix:                     limitPrefix + l.Name,
		Status:                         &typev3.HttpStatus{Code: typev3.StatusCode(l.Status)},
		FilterEnabled:                  fraction(model.BasisPointsWhole),
		FilterEnforced:                 fraction(l.Enforced),
		RateLimitedAsResourceExhausted: true,
		EnableRetryAfterHeader:         l.ResponseHeaders,
	}
	if l.ResponseHeaders {
		out.EnableXRatelimitHeaders = commonv3.XRateLimitHeadersRFCVersion_DRAFT_VERSION_03
	}
	if len(l.Match) == 0 && len(l.By) == 0 {
		out.TokenBucket = bucket
		return out
	}
	out.RateLimits = rates
	for _, entries := range wildcards(l) {
		out.Descriptors = append(out.Descriptors, &commonv3.LocalRateLimitDescriptor{Entries: entries, TokenBucket: bucket})
	}
	if len(l.By) > 0 {
		out.MaxDynamicDescriptors = uint32Value(l.Local.MaxKeys)
	}
	return out
}

// wildcards are the descriptors that a request may have. An entry without value
// stands for any; that of a missing query parameter is not there.
func wildcards(l *model.RateLimit) [][]*commonv3.RateLimitDescriptor_Entry {
	out := [][]*commonv3.RateLimitDescriptor_Entry{{{Key: "limit", Value: l.Name}}}
	for _, k := range l.By {
		var longer [][]*commonv3.RateLimitDescriptor_Entry
		for _, entries := range out {
			longer = append(longer, append(slices.Clone(entries), &commonv3.RateLimitDescriptor_Entry{Key: k.Key()}))
		}
		if k.From == model.LimitQuery {
			longer = append(longer, out...)
		}
		out = longer
	}
	return out
}

func (e *emitter) globalLimit(l *model.RateLimit, rates []*routev3.RateLimit) (proto.Message, error) {
	asked := l.Server
	if asked == nil {
		return nil, fmt.Errorf("it is global, and nobody counts")
	}
	s, err := e.service(asked.Service)
	if err != nil {
		return nil, err
	}
	out := &ratelimitv3.RateLimit{
		Domain:                         asked.Domain,
		StatPrefix:                     limitPrefix + l.Name,
		Timeout:                        duration(asked.Timeout),
		FailureModeDeny:                !asked.FailOpen,
		StatusOnError:                  &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
		RateLimitedAsResourceExhausted: true,
		RateLimitedStatus:              &typev3.HttpStatus{Code: typev3.StatusCode(l.Status)},
		FilterEnabled:                  fraction(model.BasisPointsWhole),
		FilterEnforced:                 fraction(l.Enforced),
		RateLimits:                     rates,
		RateLimitService: &ratelimitconfv3.RateLimitServiceConfig{
			TransportApiVersion: corev3.ApiVersion_V3,
			GrpcService: &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
				ClusterName: model.ClusterName(asked.Port, asked.Version, s.Host), Authority: s.Host,
			}}},
		},
	}
	if l.ResponseHeaders {
		out.EnableXRatelimitHeaders = ratelimitv3.RateLimit_DRAFT_VERSION_03
	}
	return out, nil
}

// limitRates give a request its descriptor: the constant entries, of which the
// first is there only if the request counts, and then what tells it apart. The
// alternatives share no request, so that each has one descriptor at most.
func (e *emitter) limitRates(l *model.RateLimit) ([]*routev3.RateLimit, error) {
	constant := l.Global
	if l.Local != nil {
		constant = []model.DescriptorEntry{{Key: "limit", Value: l.Name}}
	}
	ways, err := limitAlternatives(l.Match)
	if err != nil {
		return nil, err
	}
	var out []*routev3.RateLimit
	for _, headers := range ways {
		rate := &routev3.RateLimit{}
		for i, c := range constant {
			if i > 0 {
				headers = nil
			}
			rate.Actions = append(rate.Actions, constantEntry(c, headers))
		}
		for _, k := range l.By {
			action, err := limitAction(k)
			if err != nil {
				return nil, err
			}
			rate.Actions = append(rate.Actions, action)
		}
		out = append(out, rate)
	}
	return out, nil
}

func constantEntry(c model.DescriptorEntry, headers []*routev3.HeaderMatcher) *routev3.RateLimit_Action {
	if len(headers) == 0 {
		return &routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_GenericKey_{
			GenericKey: &routev3.RateLimit_Action_GenericKey{DescriptorKey: c.Key, DescriptorValue: c.Value},
		}}
	}
	return &routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_HeaderValueMatch_{
		HeaderValueMatch: &routev3.RateLimit_Action_HeaderValueMatch{
			DescriptorKey: c.Key, DescriptorValue: c.Value, ExpectMatch: boolValue(true), Headers: headers,
		},
	}}
}

// limitAction gives one entry. The expressions have a value for every request:
// one without it must not escape the limit.
func limitAction(k model.LimitKey) (*routev3.RateLimit_Action, error) {
	switch k.From {
	case model.LimitSourceIP:
		return &routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_RemoteAddress_{RemoteAddress: &routev3.RateLimit_Action_RemoteAddress{}}}, nil
	case model.LimitQuery:
		return &routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_QueryParameters_{
			QueryParameters: &routev3.RateLimit_Action_QueryParameters{QueryParameterName: k.Name, DescriptorKey: k.Key(), SkipIfAbsent: true},
		}}, nil
	case model.LimitCaller:
		return limitExpression(k, `connection.mtls ? connection.uri_san_peer_certificate : ""`)
	case model.LimitPath:
		return limitExpression(k, `request.url_path`)
	case model.LimitHeader:
		return limitExpression(k, strings.ReplaceAll(`"NAME" in request.headers ? request.headers["NAME"] : ""`, "NAME", k.Name))
	}
	return nil, fmt.Errorf("the key %q is not known", k.From)
}

func limitExpression(k model.LimitKey, text string) (*routev3.RateLimit_Action, error) {
	packed, err := toAny(&exprv3.Descriptor{DescriptorKey: k.Key(), ExprSpecifier: &exprv3.Descriptor_Text{Text: text}})
	if err != nil {
		return nil, err
	}
	return &routev3.RateLimit_Action{ActionSpecifier: &routev3.RateLimit_Action_Extension{
		Extension: &corev3.TypedExtensionConfig{Name: "envoy.rate_limit_descriptors.expr", TypedConfig: packed},
	}}, nil
}

// limitAlternatives says disjoint matches as lists of conditions of which all
// hold, and which share no request either.
func limitAlternatives(list []model.Match) ([][]*routev3.HeaderMatcher, error) {
	if len(list) == 0 {
		return [][]*routev3.HeaderMatcher{nil}, nil
	}
	var out [][]*routev3.HeaderMatcher
	for i := range list {
		base, err := limitConditions(&list[i])
		if err != nil {
			return nil, err
		}
		ways, err := withHeaders(base, list[i].Headers)
		if err != nil {
			return nil, err
		}
		for _, w := range ways {
			out = append(out, w.Headers)
		}
	}
	return out, nil
}

// limitConditions says path, methods and query as conditions on headers.
func limitConditions(m *model.Match) (*routev3.RouteMatch, error) {
	out := &routev3.RouteMatch{}
	for _, p := range m.Paths {
		pattern, err := targetPattern(p)
		if err != nil {
			return nil, fmt.Errorf("path regex %q: %w", p.Value, err)
		}
		matcher := header(":path", matchesRegex(pattern))
		matcher.InvertMatch = p.Not
		out.Headers = append(out.Headers, matcher)
	}
	if len(m.Methods) > 0 {
		out.Headers = append(out.Headers, methodMatcher(m.Methods))
	}
	if len(m.NotMethods) > 0 {
		out.Headers = append(out.Headers, inverted(methodMatcher(m.NotMethods)))
	}
	for _, q := range m.Query {
		q = normal(q)
		matcher, err := queryHeader(q)
		if err != nil {
			return nil, fmt.Errorf("query parameter %q: %w", q.Name, err)
		}
		out.Headers = append(out.Headers, matcher)
	}
	if len(m.Cookies) > 0 {
		return nil, fmt.Errorf("limits do not look at cookies")
	}
	return out, nil
}

func queryHeader(q model.NamedMatch) (*routev3.HeaderMatcher, error) {
	not := q.Not
	switch q.Kind {
	case model.Absent:
		not = true
		fallthrough
	case model.Present:
		q.Kind, q.Value = model.Regex, "(?s:.*)"
	}
	pattern, err := queryPattern(q)
	if err != nil {
		return nil, err
	}
	out := header(":path", matchesRegex(pattern))
	out.InvertMatch = not
	return out, nil
}

func fraction(basisPoints uint32) *corev3.RuntimeFractionalPercent {
	return &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{
		Numerator: basisPoints * 100, Denominator: typev3.FractionalPercent_MILLION,
	}}
}

// enableLimits switches those limits of a gateway on that are for a route.
func enableLimits(routes []*routev3.Route, list []model.RateLimit, name string) error {
	for i := range list {
		if !slices.Contains(list[i].Routes, name) {
			continue
		}
		on, err := toAny(&routev3.FilterConfig{Config: &anypb.Any{}})
		if err != nil {
			return err
		}
		for _, r := range routes {
			per := map[string]*anypb.Any{}
			maps.Copy(per, r.TypedPerFilterConfig)
			per[limitPrefix+list[i].Name] = on
			r.TypedPerFilterConfig = per
		}
	}
	return nil
}

// limitServer adds the cluster of the rate limit service where a limit of the
// list asks it, unless it is there for other reasons.
func (e *emitter) limitServer(list []model.RateLimit) error {
	asked := model.LimitServer(list)
	if asked == nil {
		return nil
	}
	s, err := e.service(asked.Service)
	if err != nil {
		return err
	}
	name := model.ClusterName(asked.Port, asked.Version, s.Host)
	for _, c := range e.out.Clusters {
		if c.Name == name {
			return nil
		}
	}
	if e.page != nil && e.page.hasCluster(name) {
		return nil
	}
	return e.versionCluster(s, asked.Version, asked.Port)
}
