package xds

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/model"
)

// addQuery adds a normal condition on a query parameter. Envoy's matcher of
// query parameters has no negation, so a negated one looks at :path.
func addQuery(out *routev3.RouteMatch, n model.NamedMatch) error {
	if n.Not {
		pattern, err := queryPattern(n)
		if err != nil {
			return fmt.Errorf("query parameter %q: %w", n.Name, err)
		}
		out.Headers = append(out.Headers, inverted(header(":path", matchesRegex(pattern))))
		return nil
	}
	matcher := &routev3.QueryParameterMatcher{Name: n.Name}
	out.QueryParameters = append(out.QueryParameters, matcher)
	if n.Kind == model.Present || n.Kind == model.Absent {
		matcher.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_PresentMatch{PresentMatch: n.Kind == model.Present}
		return nil
	}
	value, err := stringMatcher(n.Kind, n.Value)
	if err != nil {
		return fmt.Errorf("query parameter %q: %w", n.Name, err)
	}
	matcher.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: value}
	return nil
}

// queryPattern says the positive condition as RE2 over path and query: pairs
// with other keys, then the first pair with this key, whose value decides
// (Envoy: QueryParamsMulti::parseQueryString and getFirstValue).
func queryPattern(n model.NamedMatch) (string, error) {
	value, err := pairValue(n)
	if err == nil && n.Name == "" {
		err = errors.New("it has no name")
	}
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(n.Name, "&=") {
		value = "[^\\x00-\\x{10FFFF}]" // no key has such a name
	}
	others := "(?:" + otherThan([]rune(n.Name)) + "(?:=[^&]*)?&)*"
	return `[^?]*\?` + others + regexp.QuoteMeta(n.Name) + "(?:" + value + ")(?:&.*)?", nil
}

// pairValue is what follows the key of a pair: nothing, or "=" and a value.
func pairValue(n model.NamedMatch) (string, error) {
	expr := regexp.QuoteMeta(n.Value)
	switch n.Kind {
	case model.Exact:
	case model.Prefix:
		expr += ".*"
	case model.Suffix:
		expr = ".*" + expr
	case model.Contains:
		expr = ".*" + expr + ".*"
	case model.Regex:
		expr = "(?:" + n.Value + ")"
	default:
		return "", fmt.Errorf("match kind %q does not look at a value", n.Kind)
	}
	text, err := without(expr, '&')
	if err != nil {
		return "", err
	}
	whole, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return "", err
	}
	out := "=(?:" + text + ")"
	if whole.MatchString("") {
		out += "|" // a key without "=" has the empty value
	}
	return out, nil
}

// otherThan is RE2 for the keys that are not name.
func otherThan(name []rune) string {
	const key = "[^&=]"
	if len(name) == 0 {
		return key + "+"
	}
	first := regexp.QuoteMeta(string(name[0]))
	return "(?:|[^&=" + classRune(name[0]) + "]" + key + "*|" + first + otherThan(name[1:]) + ")"
}

// classRune writes a rune inside a class.
func classRune(r rune) string { return fmt.Sprintf("\\x{%x}", r) }
