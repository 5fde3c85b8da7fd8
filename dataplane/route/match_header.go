package route

import (
	"errors"
	"fmt"
	"strconv"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/dataplane/message"
)

// CompileHeader gives the judge of a HeaderMatcher. The rule for a missing
// header is Envoy's (header_utility.cc): it satisfies only a presence matcher
// that asks for it, whatever invert_match says, unless
// treat_missing_header_as_empty makes it a value.
func CompileHeader(m *routev3.HeaderMatcher) (func(*message.Request) bool, error) {
	name := lowerASCII(m.GetName())
	if name == "" {
		return nil, errors.New("header matcher without a name")
	}
	invert := m.GetInvertMatch()
	if present, ok := presence(m); ok {
		if m.GetTreatMissingHeaderAsEmpty() {
			return nil, fmt.Errorf("header %q: treat_missing_header_as_empty with present_match is not supported", name)
		}
		want := present != invert
		return func(req *message.Request) bool { return hasHeader(req, name) == want }, nil
	}
	judge, err := compileValue(m)
	if err != nil {
		return nil, fmt.Errorf("header %q: %w", name, err)
	}
	missing := m.GetTreatMissingHeaderAsEmpty() && judge("") != invert
	return func(req *message.Request) bool {
		switch found, any := judgeValues(req, name, judge); {
		case !found:
			return missing
		default:
			return any != invert
		}
	}, nil
}

// presence: a matcher without a specifier asks for presence.
func presence(m *routev3.HeaderMatcher) (bool, bool) {
	switch p := m.GetHeaderMatchSpecifier().(type) {
	case nil:
		return true, true
	case *routev3.HeaderMatcher_PresentMatch:
		return p.PresentMatch, true
	}
	return false, false
}

// compileValue judges a header's value, leaving invert_match to the caller.
func compileValue(m *routev3.HeaderMatcher) (func(string) bool, error) {
	switch p := m.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_StringMatch:
		return CompileString(p.StringMatch)
	case *routev3.HeaderMatcher_RangeMatch:
		start, end := p.RangeMatch.GetStart(), p.RangeMatch.GetEnd()
		return func(s string) bool {
			n, err := strconv.ParseInt(s, 10, 64)
			return err == nil && start <= n && n < end
		}, nil
	}
	return nil, errors.New("needs string_match, range_match or present_match")
}

// pseudo gives the value of a header that the request keeps outside Fields.
func pseudo(req *message.Request, name string) (string, bool) {
	switch name {
	case ":method":
		return req.Method, true
	case ":path":
		return req.Target, true
	case ":authority", "host":
		return req.Authority, true
	case ":scheme":
		return req.Scheme, true
	}
	return "", false
}

func hasHeader(req *message.Request, name string) bool {
	found, _ := judgeValues(req, name, func(string) bool { return true })
	return found
}

// judgeValues says whether the header is there, and whether the judge accepts
// any of its values. Envoy 1.40 looks at each value of a repeated header by
// itself (match_headers_individually): a client that adds a second value
// cannot hide the first from a rule that denies it.
func judgeValues(req *message.Request, name string, judge func(string) bool) (found, any bool) {
	if name[0] == ':' || name == "host" {
		value, _ := pseudo(req, name)
		return value != "", value != "" && judge(value)
	}
	if joined[name] {
		return judgeJoined(req, name, judge)
	}
	for i := range req.Fields {
		if req.Fields[i].Name != name {
			continue
		}
		if found = true; judge(req.Fields[i].Value) {
			return true, true
		}
	}
	return found, false
}
