// Package globalrate limits the rate of requests as a service counts them, as
// envoy.filters.http.ratelimit does (envoy.service.ratelimit.v3).
package globalrate

import (
	"errors"
	"fmt"
	"time"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/filter/descriptor"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

// Supported lists the messages that New understands, but those of descriptors.
var Supported = []support.Message{
	{Name: "envoy.extensions.filters.http.ratelimit.v3.RateLimit", Fields: []support.Field{
		support.F("domain", ""), support.F("rate_limits", "required: those of routes are not read"), support.F("rate_limit_service", ""),
		support.F("timeout", "20 ms when absent, 0 is none"), support.F("stat_prefix", "in the names of the counters"),
		support.F("failure_mode_deny", ""), support.F("status_on_error", "500 when absent, as below 400"),
		support.F("rate_limited_status", "429 when absent, as below 400"), support.F("rate_limited_as_resource_exhausted", ""),
		support.F("filter_enabled", "all when absent"), support.F("filter_enforced", "all when absent"),
		support.F("enable_x_ratelimit_headers", ""),
	}},
	{Name: "envoy.config.ratelimit.v3.RateLimitServiceConfig", Fields: []support.Field{
		support.F("grpc_service", ""), support.Only("transport_api_version", "", "V3"),
	}},
}

const (
	method         = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
	defaultTimeout = 20 * time.Millisecond // of Envoy
	// exhausted is RESOURCE_EXHAUSTED of gRPC.
	exhausted = 8
)

// Filter is the HTTP filter. It keeps no state.
type Filter struct {
	name, domain      string
	service           *filter.Service
	rates             []descriptor.Rate
	enabled, enforced func(*filter.Stream) bool
	deny              bool // where nobody answers
	status, onError   int
	grpc              int
	headers           bool

	// What is counted of a request, as Envoy's filter does.
	within, over, failed, failedOpen []string
}

// New gives the filter of a RateLimit that passed support.Table.Check, under the
// name that its connection manager knows it by.
func New(name string, p *filterv3.RateLimit) (*Filter, error) {
	prefix := "ratelimit_"
	if own := p.GetStatPrefix(); own != "" {
		prefix += filter.MetricName(own) + "_"
	}
	f := &Filter{
		within: []string{prefix + "ok"}, over: []string{prefix + "over_limit"},
		failed: []string{prefix + "error"}, failedOpen: []string{prefix + "error", prefix + "failure_mode_allowed"},
		name: name, domain: p.GetDomain(), deny: p.GetFailureModeDeny(),
		status: errorOr(p.GetRateLimitedStatus(), 429), onError: errorOr(p.GetStatusOnError(), 500),
		headers: p.GetEnableXRatelimitHeaders() == filterv3.RateLimit_DRAFT_VERSION_03,
	}
	if p.GetRateLimitedAsResourceExhausted() {
		f.grpc = exhausted
	}
	if len(p.GetRateLimits()) == 0 {
		return nil, errors.New("needs rate_limits")
	}
	limit := defaultTimeout
	if p.GetTimeout() != nil {
		limit = p.GetTimeout().AsDuration()
	}
	if t := p.GetRateLimitService().GetGrpcService().GetTimeout(); t != nil {
		return nil, errors.New("rate_limit_service: grpc_service: timeout is not supported, the filter has one")
	}
	var err error
	if f.service, err = filter.NewService(p.GetRateLimitService().GetGrpcService(), method, limit); err != nil {
		return nil, fmt.Errorf("rate_limit_service: %w", err)
	}
	if f.enabled, err = share(p.GetFilterEnabled().GetDefaultValue()); err != nil {
		return nil, fmt.Errorf("filter_enabled: %w", err)
	}
	if f.enforced, err = share(p.GetFilterEnforced().GetDefaultValue()); err != nil {
		return nil, fmt.Errorf("filter_enforced: %w", err)
	}
	f.rates, err = descriptor.Compile(p.GetRateLimits())
	return f, err
}

func errorOr(s *typev3.HttpStatus, otherwise int) int {
	if code := int(s.GetCode()); code >= 400 {
		return code
	}
	return otherwise
}

// share draws for each request whether it is one of a part; nil: all are.
func share(p *typev3.FractionalPercent) (func(*filter.Stream) bool, error) {
	if p == nil {
		return func(*filter.Stream) bool { return true }, nil
	}
	part, err := route.NewFraction(p)
	return func(s *filter.Stream) bool { return part.Takes(s.Draw()) }, err
}

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

// OnRequest implements filter.HTTP. The service is not asked about a request
// without a descriptor, nor, as in Envoy, about one that goes nowhere.
func (f *Filter) OnRequest(s *filter.Stream) filter.Verdict {
	if s.Route == nil || s.Route.Direct.Status != 0 || !f.enabled(s) {
		return filter.Verdict{}
	}
	var room [8]descriptor.Entry
	var q *question
	for i := range f.rates {
		entries, ok := f.rates[i].Describe(s, room[:0])
		if !ok {
			continue
		}
		if q == nil {
			q = &question{Filter: f, text: rlsv3.RateLimitRequest{Domain: f.domain}}
		}
		q.add(entries)
	}
	if q == nil {
		return filter.Verdict{}
	}
	return filter.Verdict{Ask: q}
}

// question is what is asked about one request.
type question struct {
	*Filter
	text rlsv3.RateLimitRequest
}

func (q *question) add(entries []descriptor.Entry) {
	d := &ratelimitv3.RateLimitDescriptor{}
	for _, e := range entries {
		d.Entries = append(d.Entries, &ratelimitv3.RateLimitDescriptor_Entry{Key: e.Key, Value: filter.Text(e.Value)})
	}
	q.text.Descriptors = append(q.text.Descriptors, d)
}

// Service implements filter.Question.
func (q *question) Service() *filter.Service { return q.service }

// Holds implements filter.Question.
func (q *question) Holds() int { return 0 }

// Message implements filter.Question.
func (q *question) Message(*filter.Stream, []byte) ([]byte, error) { return proto.Marshal(&q.text) }

// Judge implements filter.Question.
func (q *question) Judge(s *filter.Stream, a *filter.Answer) filter.Verdict {
	var r rlsv3.RateLimitResponse
	if a.Code != 0 || proto.Unmarshal(a.Message, &r) != nil {
		return q.unanswered()
	}
	over := r.GetOverallCode() == rlsv3.RateLimitResponse_OVER_LIMIT
	if !q.respond(s, &r, over) {
		return q.unanswered()
	}
	if !over {
		return q.pass(s, &r, q.within)
	}
	if !q.enforced(s) {
		return q.pass(s, &r, q.over)
	}
	return filter.Verdict{Status: q.status, GRPC: q.grpc, Body: string(r.GetRawBody()), Flag: "RL", Details: "request_rate_limited", Tally: q.over}
}

func (q *question) unanswered() filter.Verdict {
	if !q.deny {
		return filter.Verdict{Tally: q.failedOpen}
	}
	return filter.Verdict{Status: q.onError, Flag: "RLSE", Details: "rate_limiter_error", Tally: q.failed}
}

// pass lets a request go on, with what the service adds to it.
func (q *question) pass(s *filter.Stream, r *rlsv3.RateLimitResponse, tally []string) filter.Verdict {
	for _, h := range r.GetRequestHeadersToAdd() {
		f, ok := filter.AnsweredField(h.GetKey(), h.GetValue())
		if !ok {
			return q.unanswered()
		}
		s.Request.Fields = append(s.Request.Fields, f)
	}
	return filter.Verdict{Tally: tally}
}

// respond adds to the response what the service says of it; false: that cannot be.
func (q *question) respond(s *filter.Stream, r *rlsv3.RateLimitResponse, over bool) bool {
	add := s.Add
	for _, h := range r.GetResponseHeadersToAdd() {
		f, ok := filter.AnsweredField(h.GetKey(), h.GetValue())
		if !ok {
			return false
		}
		add = append(add, f)
	}
	if over {
		add = append(add, message.Field{Name: "x-envoy-ratelimited", Value: "true"})
	}
	if q.headers {
		add = quota(r.GetStatuses(), add)
	}
	s.Add = add
	return true
}
