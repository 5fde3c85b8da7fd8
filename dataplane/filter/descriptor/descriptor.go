// Package descriptor says of requests what rate limits count them by: the
// descriptors that the actions of Envoy's RateLimit give.
package descriptor

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	exprv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/rate_limit_descriptors/expr/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

const prefix = "envoy.config.route.v3.RateLimit"

// Supported lists the messages that Compile understands.
var Supported = []support.Message{
	{Name: prefix, Fields: []support.Field{support.F("actions", "all must give an entry, or there is no descriptor")}},
	{Name: prefix + ".Action", Fields: []support.Field{
		support.F("generic_key", ""), support.F("header_value_match", ""), support.F("remote_address", ""),
		support.F("query_parameters", ""), support.F("extension", "expressions"),
	}},
	{Name: prefix + ".Action.GenericKey", Fields: []support.Field{support.F("descriptor_key", "`generic_key` when absent"), support.F("descriptor_value", "plain text")}},
	{Name: prefix + ".Action.HeaderValueMatch", Fields: []support.Field{
		support.F("descriptor_key", "`header_match` when absent"), support.F("descriptor_value", "plain text"),
		support.F("expect_match", "true when absent"), support.F("headers", "all must match"),
	}},
	{Name: prefix + ".Action.RemoteAddress"},
	{Name: prefix + ".Action.QueryParameters", Fields: []support.Field{
		support.F("query_parameter_name", "the first value, decoded"), support.F("descriptor_key", ""), support.F("skip_if_absent", ""),
	}},
	{Name: "envoy.config.core.v3.TypedExtensionConfig", Fields: []support.Field{support.F("name", ""), support.F("typed_config", "")}},
	{Name: "envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor", Fields: []support.Field{
		support.F("descriptor_key", ""), support.F("text", "the caller's URI SAN, the path, and a header's value, as meshc writes them"),
	}},
}

// Entry is one part of a descriptor. Value may alias the request.
type Entry struct{ Key, Value string }

// Rate gives the descriptors of requests. It is immutable.
type Rate struct{ actions []action }

// action adds its entry, if there is one; false: the request has no descriptor.
type action func(*filter.Stream, []Entry) ([]Entry, bool)

// Compile decodes rates that passed support.Table.Check.
func Compile(rates []*routev3.RateLimit) ([]Rate, error) {
	var out []Rate
	for i, r := range rates {
		var rate Rate
		for j, a := range r.GetActions() {
			compiled, err := compile(a)
			if err != nil {
				return nil, fmt.Errorf("rate_limits[%d]: actions[%d]: %w", i, j, err)
			}
			rate.actions = append(rate.actions, compiled)
		}
		out = append(out, rate)
	}
	return out, nil
}

// Describe appends the entries of the request's descriptor to buf; false: it has
// none.
func (r *Rate) Describe(s *filter.Stream, buf []Entry) ([]Entry, bool) {
	from := len(buf)
	for _, a := range r.actions {
		var ok bool
		if buf, ok = a(s, buf); !ok {
			return buf[:from], false
		}
	}
	return buf, len(buf) > from
}

func compile(a *routev3.RateLimit_Action) (action, error) {
	switch m := a.GetActionSpecifier().(type) {
	case *routev3.RateLimit_Action_GenericKey_:
		return constant(m.GenericKey.GetDescriptorKey(), "generic_key", m.GenericKey.GetDescriptorValue())
	case *routev3.RateLimit_Action_HeaderValueMatch_:
		return headerValue(m.HeaderValueMatch)
	case *routev3.RateLimit_Action_RemoteAddress_:
		return remoteAddress, nil
	case *routev3.RateLimit_Action_QueryParameters_:
		return queryParameter(m.QueryParameters), nil
	case *routev3.RateLimit_Action_Extension:
		return extension(m)
	}
	return nil, errors.New("is not supported")
}

func constant(key, otherwise, value string) (action, error) {
	if strings.Contains(value, "%") {
		return nil, errors.New("descriptor_value: command operators are not supported")
	}
	if key == "" {
		key = otherwise
	}
	return func(_ *filter.Stream, buf []Entry) ([]Entry, bool) { return append(buf, Entry{key, value}), true }, nil
}

func headerValue(m *routev3.RateLimit_Action_HeaderValueMatch) (action, error) {
	entry, err := constant(m.GetDescriptorKey(), "header_match", m.GetDescriptorValue())
	if err != nil {
		return nil, err
	}
	var all []func(*message.Request) bool
	for _, h := range m.GetHeaders() {
		matches, err := route.CompileHeader(h)
		if err != nil {
			return nil, err
		}
		all = append(all, matches)
	}
	want := m.GetExpectMatch() == nil || m.GetExpectMatch().GetValue()
	return func(s *filter.Stream, buf []Entry) ([]Entry, bool) {
		got := true
		for _, matches := range all {
			if got = matches(s.Request); !got {
				break
			}
		}
		if got != want {
			return buf, false
		}
		return entry(s, buf)
	}, nil
}

// remoteAddress is the client as far as who passes it on is believed.
func remoteAddress(s *filter.Stream, buf []Entry) ([]Entry, bool) {
	at := strings.LastIndexByte(s.Peer.Remote, ':')
	if at <= 0 {
		return buf, false
	}
	return append(buf, Entry{"remote_address", strings.Trim(s.Peer.Remote[:at], "[]")}), true
}

func queryParameter(m *routev3.RateLimit_Action_QueryParameters) action {
	name, key, skip := m.GetQueryParameterName(), m.GetDescriptorKey(), m.GetSkipIfAbsent()
	if key == "" {
		key = "query_match"
	}
	return func(s *filter.Stream, buf []Entry) ([]Entry, bool) {
		value := query(s.Request, name)
		if value == "" {
			return buf, skip
		}
		return append(buf, Entry{key, value}), true
	}
}

// query is the first value of a parameter, decoded; a "+" stays one. What cannot
// be decoded stays as it is.
func query(req *message.Request, name string) string {
	for rest := req.RawQuery(); rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(pair, "=")
		if decoded(key) == name {
			return decoded(value)
		}
	}
	return ""
}

func decoded(s string) string {
	if out, err := url.PathUnescape(s); err == nil {
		return out
	}
	return s
}

const (
	callerExpression = `connection.mtls ? connection.uri_san_peer_certificate : ""`
	pathExpression   = `request.url_path`
)

var headerExpression = regexp.MustCompile(`^"([a-z0-9!#$&'*+.^_|~-]+)" in request\.headers \? request\.headers\["([^"]+)"\] : ""$`)

// extension knows the expressions that emit/xds writes; this proxy has no
// interpreter for others.
func extension(m *routev3.RateLimit_Action_Extension) (action, error) {
	packed, err := m.Extension.GetTypedConfig().UnmarshalNew()
	if err != nil {
		return nil, fmt.Errorf("extension: %w", err)
	}
	d, ok := packed.(*exprv3.Descriptor)
	if !ok {
		return nil, fmt.Errorf("extension: %s is not supported", packed.ProtoReflect().Descriptor().FullName())
	}
	value, err := expression(d.GetText())
	if err != nil {
		return nil, fmt.Errorf("extension: text: %w", err)
	}
	key := d.GetDescriptorKey()
	return func(s *filter.Stream, buf []Entry) ([]Entry, bool) { return append(buf, Entry{key, value(s)}), true }, nil
}

func expression(text string) (func(*filter.Stream) string, error) {
	switch text {
	case callerExpression:
		return func(s *filter.Stream) string {
			if !s.Peer.TLS {
				return ""
			}
			return s.Peer.SPIFFEID
		}, nil
	case pathExpression:
		return func(s *filter.Stream) string { return route.PathOf(s.Request) }, nil
	}
	m := headerExpression.FindStringSubmatch(text)
	if m == nil || m[1] != m[2] {
		return nil, fmt.Errorf("the expression %q is not supported", text)
	}
	return func(s *filter.Stream) string { return header(s.Request, m[1]) }, nil
}

// header is all values of a header as one list.
func header(req *message.Request, name string) string {
	value, found := "", false
	for i := range req.Fields {
		switch {
		case req.Fields[i].Name != name:
		case !found:
			value, found = req.Fields[i].Value, true
		default:
			value += "," + req.Fields[i].Value
		}
	}
	return value
}
