// Package extauthz asks a service whether requests are let in, as
// envoy.filters.http.ext_authz does (envoy.service.auth.v3).
package extauthz

import (
	"errors"
	"fmt"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	servicev3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/filter/rbac"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

const prefix = "envoy.extensions.filters.http.ext_authz.v3."

// Supported lists the messages that New understands.
var Supported = []support.Message{
	{Name: prefix + "ExtAuthz", Fields: []support.Field{
		support.F("grpc_service", "200 ms when it has no timeout, 0 is none"), support.Only("transport_api_version", "", "V3"),
		support.F("failure_mode_allow", ""), support.F("with_request_body", ""), support.F("allowed_headers", "all when absent"),
		support.F("metadata_context_namespaces", ""),
		support.Only("validate_mutations", "required; and the answer must not touch pseudo-headers, `host`, framing or `x-forwarded-client-cert`", "true"),
		support.F("filter_enabled_metadata", "of shadow rules with the prefix \"asked_\""),
	}},
	{Name: prefix + "BufferSettings", Fields: []support.Field{
		support.F("max_request_bytes", "more is answered 413"), support.Only("pack_as_bytes", "", "true"),
	}},
	{Name: "envoy.type.matcher.v3.ListStringMatcher", Fields: []support.Field{support.F("patterns", "")}},
}

const (
	method         = "/envoy.service.auth.v3.Authorization/Check"
	defaultTimeout = 200 * time.Millisecond // of Envoy
	maxHeld        = 16 << 20               // of a body, in bytes
)

// Filter is the HTTP filter. It keeps no state.
type Filter struct {
	name    string
	service *filter.Service
	open    bool // where nobody answers, requests go on
	some    bool // the service is asked about some requests
	held    int
	told    []func(string) bool // which headers the service hears of; nil: all
	spaces  []string            // of metadata that the service hears of
}

// New gives the filter of an ExtAuthz that passed support.Table.Check, under the
// name that its connection manager knows it by.
func New(name string, p *authv3.ExtAuthz) (*Filter, error) {
	f := &Filter{name: name, open: p.GetFailureModeAllow(), spaces: p.GetMetadataContextNamespaces()}
	if p.GetGrpcService() == nil {
		return nil, errors.New("needs a grpc_service")
	}
	if !p.GetValidateMutations() {
		return nil, errors.New("validate_mutations: must be true")
	}
	var err error
	if f.service, err = filter.NewService(p.GetGrpcService(), method, defaultTimeout); err != nil {
		return nil, err
	}
	if b := p.GetWithRequestBody(); b != nil {
		if f.held = int(b.GetMaxRequestBytes()); f.held > maxHeld || !b.GetPackAsBytes() {
			return nil, fmt.Errorf("with_request_body: needs pack_as_bytes, and at most %d bytes are supported", maxHeld)
		}
	}
	for i, m := range p.GetAllowedHeaders().GetPatterns() {
		matches, err := route.CompileString(m)
		if err != nil {
			return nil, fmt.Errorf("allowed_headers: patterns[%d]: %w", i, err)
		}
		f.told = append(f.told, matches)
	}
	f.some, err = asked(p.GetFilterEnabledMetadata())
	return f, err
}

// asked knows the one question that is asked of metadata: whether shadow rules
// have noted the request.
func asked(m *matcherv3.MetadataMatcher) (bool, error) {
	if m == nil {
		return false, nil
	}
	want := &matcherv3.MetadataMatcher{
		Filter: rbac.FilterName,
		Path:   []*matcherv3.MetadataMatcher_PathSegment{{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: rbac.AskedPrefix + "shadow_engine_result"}}},
		Value: &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{StringMatch: &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "allowed"},
		}}},
	}
	if !proto.Equal(m, want) {
		return false, fmt.Errorf("filter_enabled_metadata: only whether %s%s of %s is \"allowed\" is supported", rbac.AskedPrefix, "shadow_engine_result", rbac.FilterName)
	}
	return true, nil
}

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

// OnRequest implements filter.HTTP. As in Envoy the service is not asked about
// what has no route.
func (f *Filter) OnRequest(s *filter.Stream) filter.Verdict {
	if s.Route == nil {
		return filter.Verdict{}
	}
	if f.some && !s.Asked {
		s.Count(countDisabled)
		return filter.Verdict{}
	}
	return filter.Verdict{Ask: f}
}

// Service implements filter.Question.
func (f *Filter) Service() *filter.Service { return f.service }

// Holds implements filter.Question.
func (f *Filter) Holds() int { return f.held }

// Counters of a Filter, and of the cluster that requests go to.
const (
	countOK = iota
	countDenied
	countError
	countOpen
	countDisabled
	countInvalid
)

var counters = []string{"ext_authz_ok", "ext_authz_denied", "ext_authz_error", "ext_authz_failure_mode_allowed", "ext_authz_disabled", "ext_authz_invalid"}

// Counters implements filter.Counted.
func (f *Filter) Counters() ([]string, filter.Label) { return counters, filter.Label{} }

// Judge implements filter.Question.
func (f *Filter) Judge(s *filter.Stream, a *filter.Answer) filter.Verdict {
	v, open := f.judge(s, a)
	first, last := countOK, countOK
	switch {
	case v.Details == invalidAnswer:
		s.Count(countInvalid) // of which clusters hear nothing
		return v
	case v.Details == deniedAnswer:
		first, last = countDenied, countDenied
	case open:
		first, last = countError, countOpen
	case v.Details == noAnswer:
		first, last = countError, countError
	}
	for i := first; i <= last; i++ {
		s.Count(i)
	}
	v.Tally = counters[first : last+1]
	return v
}

// Details of refusals.
const (
	noAnswer      = "ext_authz_error"
	deniedAnswer  = "ext_authz_denied"
	invalidAnswer = "ext_authz_invalid"
)

// judge says what becomes of the request; open: it goes on because nobody has judged
// it.
func (f *Filter) judge(s *filter.Stream, a *filter.Answer) (v filter.Verdict, open bool) {
	var r servicev3.CheckResponse
	switch {
	case a.Code != 0 || proto.Unmarshal(a.Message, &r) != nil:
		return f.unanswered(s, nil), f.open
	case r.GetStatus().GetCode() == 0:
		return letIn(s, r.GetOkResponse()), false
	case r.GetErrorResponse() != nil:
		return f.unanswered(s, r.GetErrorResponse()), f.open
	}
	return denied(s, r.GetDeniedResponse()), false
}

// refusal is what every refusal has: Envoy's flag, and the details.
func refusal(status int, body, details string) filter.Verdict {
	return filter.Verdict{Status: status, Body: body, Flag: "UAEX", Details: details}
}

// unanswered is what becomes of a request that the service has not judged; how it
// says so, where it does.
func (f *Filter) unanswered(s *filter.Stream, how *servicev3.DeniedHttpResponse) filter.Verdict {
	if f.open {
		return filter.Verdict{}
	}
	if !answerWith(s, how.GetHeaders()) {
		return invalid()
	}
	return refusal(statusOr(how, 403), how.GetBody(), noAnswer)
}

func denied(s *filter.Stream, how *servicev3.DeniedHttpResponse) filter.Verdict {
	if !answerWith(s, how.GetHeaders()) {
		return invalid()
	}
	return refusal(statusOr(how, 403), how.GetBody(), deniedAnswer)
}

// invalid is what becomes of a request when the service answers what no proxy can do.
func invalid() filter.Verdict { return refusal(500, "", invalidAnswer) }

// statusOr is the status of an answer; one that ends no exchange is none.
func statusOr(how *servicev3.DeniedHttpResponse, otherwise int) int {
	if code := int(how.GetStatus().GetCode()); code >= 200 && code <= 599 {
		return code
	}
	return otherwise
}
