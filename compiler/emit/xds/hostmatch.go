package xds

import (
	"fmt"
	"regexp"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/model"
)

// hostMatchers says a condition on the host over :authority, which may have a
// port and letters of either case. Every request has one, so negation needs no
// second way.
func hostMatchers(n model.NamedMatch) ([]*routev3.HeaderMatcher, error) {
	pattern, err := hostPattern(n)
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	one := header(":authority", matchesRegex(pattern))
	one.InvertMatch = n.Not
	return []*routev3.HeaderMatcher{one}, nil
}

// hostPattern takes the host up to its port: what stands for any text does not
// reach over a ":".
func hostPattern(n model.NamedMatch) (string, error) {
	const any, port = "[^:]*", "(?::[0-9]*)?"
	text := regexp.QuoteMeta(n.Value)
	switch n.Kind {
	case model.Exact:
	case model.Prefix:
		text += any
	case model.Suffix:
		text = any + text
	case model.Contains:
		text = any + text + any
	case model.Regex:
		var err error
		if text, err = without(n.Value, ':'); err != nil {
			return "", err
		}
	default:
		return "", fmt.Errorf("match kind %q is not one of hosts", n.Kind)
	}
	return "(?i:" + text + ")" + port, nil
}
