package route

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"unsafe"

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
		value, n := headerValue(req, name)
		switch n {
		case 0:
			return missing
		case 1:
			return judge(value) != invert
		}
		return judgeJoined(req, name, judge) != invert
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
	_, n := headerValue(req, name)
	return n > 0
}

// headerValue gives the first value and the number of values.
func headerValue(req *message.Request, name string) (first string, n int) {
	if name[0] == ':' || name == "host" {
		value, _ := pseudo(req, name)
		if value == "" {
			return "", 0
		}
		return value, 1
	}
	for i := range req.Fields {
		if req.Fields[i].Name == name {
			if n++; n == 1 {
				first = req.Fields[i].Value
			}
		}
	}
	return first, n
}

// joinBuffers hold values joined for one judgement.
var joinBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// judgeJoined judges the values of a repeated header joined by ",", as Envoy
// does. Judges do not keep their argument, so the joined string may live in a
// buffer that is used again.
func judgeJoined(req *message.Request, name string, judge func(string) bool) bool {
	p := joinBuffers.Get().(*[]byte)
	buf := (*p)[:0]
	for i := range req.Fields {
		if req.Fields[i].Name != name {
			continue
		}
		buf = append(buf, req.Fields[i].Value...)
		buf = append(buf, ',')
	}
	ok := judge(unsafe.String(unsafe.SliceData(buf), len(buf)-1))
	*p = buf
	joinBuffers.Put(p)
	return ok
}
