// Package cors tells browsers which pages of other origins may use responses,
// as envoy.filters.http.cors does: it takes a CorsPolicy of a route, answers
// preflights of its origins, and marks the responses to their requests.
package cors

import (
	"errors"
	"fmt"

	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

// Supported lists the messages that Decode understands.
var Supported = []support.Message{
	{Name: "envoy.extensions.filters.http.cors.v3.Cors"},
	{Name: "envoy.extensions.filters.http.cors.v3.CorsPolicy", Fields: []support.Field{
		support.F("allow_origin_string_match", "needed; the policy of the route, else of its virtual host, alone"),
		support.F("allow_methods", "not \"*\""),
		support.F("allow_headers", "\"*\" grants what is asked for"),
		support.F("expose_headers", ""),
		support.F("max_age", ""),
		support.F("allow_credentials", ""),
	}},
}

// Policy is one decoded CorsPolicy. It is immutable.
type Policy struct {
	origins   []func(string) bool
	always    []message.Field // of every response to an allowed origin, beside the origin
	preflight []message.Field // of preflights, beside those
	reflects  bool            // a preflight is granted whatever headers it asks for
}

// Decode gives the Policy of a CorsPolicy that passed support.Table.Check.
func Decode(p *corsv3.CorsPolicy) (*Policy, error) {
	out := new(Policy)
	for i, m := range p.GetAllowOriginStringMatch() {
		matches, err := route.CompileString(m)
		if err != nil {
			return nil, fmt.Errorf("allow_origin_string_match[%d]: %w", i, err)
		}
		// A matcher that takes "*" takes every origin (cors_filter.cc).
		if matches("*") {
			matches = func(string) bool { return true }
		}
		out.origins = append(out.origins, matches)
	}
	if len(out.origins) == 0 {
		return nil, errors.New("allow_origin_string_match: needs an origin")
	}
	if p.GetAllowCredentials().GetValue() {
		out.always = append(out.always, message.Field{Name: "access-control-allow-credentials", Value: "true"})
	}
	out.always = written(out.always, "access-control-expose-headers", p.GetExposeHeaders())
	out.preflight = written(out.preflight, "access-control-allow-methods", p.GetAllowMethods())
	if p.GetAllowMethods() == "*" {
		return nil, errors.New("allow_methods: \"*\" is not supported")
	}
	if out.reflects = p.GetAllowHeaders() == "*"; !out.reflects {
		out.preflight = written(out.preflight, allowHeaders, p.GetAllowHeaders())
	}
	out.preflight = written(out.preflight, "access-control-max-age", p.GetMaxAge())
	return out, nil
}

const allowHeaders = "access-control-allow-headers"

func written(fields []message.Field, name, value string) []message.Field {
	if value == "" {
		return fields
	}
	return append(fields, message.Field{Name: name, Value: value})
}

func (p *Policy) allows(origin string) bool {
	for _, matches := range p.origins {
		if matches(origin) {
			return true
		}
	}
	return false
}

// Filter is the HTTP filter. It keeps no state: one value serves every connection.
type Filter struct{ name string }

// New gives the filter under the name that its connection manager knows it by:
// the key of routes' typed_per_filter_config.
func New(name string) *Filter { return &Filter{name} }

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

// OnRequest implements filter.HTTP. A preflight of an origin that is not allowed
// goes on like any other request: the answer says nothing of the origin, and
// browsers take that for a no. Routes that answer by themselves have no policy,
// whatever is written there: Envoy 1.40 reads it from those with a destination alone.
func (f *Filter) OnRequest(s *filter.Stream) filter.Verdict {
	if s.Route == nil || s.Route.Direct.Status != 0 {
		return filter.Verdict{}
	}
	p, ok := s.Route.PerFilter[f.name].(*Policy)
	if !ok {
		return filter.Verdict{}
	}
	origin := joined(s.Request.Fields, "origin")
	if origin == "" || !p.allows(origin) {
		return filter.Verdict{}
	}
	s.Set = append(s.Set, message.Field{Name: "access-control-allow-origin", Value: origin})
	s.Set = append(s.Set, p.always...)
	if s.Request.Method != "OPTIONS" || joined(s.Request.Fields, "access-control-request-method") == "" {
		return filter.Verdict{}
	}
	s.Set = append(s.Set, p.preflight...)
	if p.reflects { // as Envoy 1.40: "*" is not written, because with credentials it means nothing
		s.Set = written(s.Set, allowHeaders, joined(s.Request.Fields, "access-control-request-headers"))
	}
	return filter.Verdict{Status: 200, Details: "cors_response", Bare: true}
}

// joined is the value of a field, however many lines it has.
func joined(fields []message.Field, name string) string {
	out, seen := "", false
	for _, f := range fields {
		if f.Name != name {
			continue
		}
		if seen {
			out += ","
		}
		out, seen = out+f.Value, true
	}
	return out
}
