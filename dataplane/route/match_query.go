package route

import (
	"errors"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/dataplane/message"
)

// queryCondition: the first value of a key counts, undecoded.
func queryCondition(q *routev3.QueryParameterMatcher) (condition, error) {
	name := q.GetName()
	switch p := q.GetQueryParameterMatchSpecifier().(type) {
	case nil:
		return func(req *message.Request) bool { _, ok := queryValue(req, name); return ok }, nil
	case *routev3.QueryParameterMatcher_PresentMatch:
		want := p.PresentMatch
		return func(req *message.Request) bool { _, ok := queryValue(req, name); return ok == want }, nil
	case *routev3.QueryParameterMatcher_StringMatch:
		judge, err := CompileString(p.StringMatch)
		if err != nil {
			return nil, err
		}
		return func(req *message.Request) bool {
			value, ok := queryValue(req, name)
			return ok && judge(value)
		}, nil
	}
	return nil, errors.New("needs string_match or present_match")
}

func queryValue(req *message.Request, name string) (string, bool) {
	rest := req.RawQuery()
	for rest != "" {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(pair, "=")
		if key == name {
			return value, true
		}
	}
	return "", false
}

// cookieCondition: a missing cookie does not match, so an inverted matcher
// accepts it.
func cookieCondition(c *routev3.CookieMatcher) (condition, error) {
	judge, err := CompileString(c.GetStringMatch())
	if err != nil {
		return nil, err
	}
	name, invert := c.GetName(), c.GetInvertMatch()
	return func(req *message.Request) bool {
		value, ok := CookieOf(req, name)
		return (ok && judge(value)) != invert
	}, nil
}

// CookieOf gives the first cookie called name over all Cookie fields. A
// value in double quotes loses them, as in Envoy's Utility::parseCookies.
func CookieOf(req *message.Request, name string) (string, bool) {
	for i := range req.Fields {
		if req.Fields[i].Name != "cookie" {
			continue
		}
		rest := req.Fields[i].Value
		for rest != "" {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			key, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if ok && key == name {
				return unquote(value), true
			}
		}
	}
	return "", false
}

func unquote(value string) string {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}
