package reach

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// A header may stand in a request several times, and each value is looked at by
// itself (Envoy 1.40, envoy.reloadable_features.match_headers_individually): a
// condition holds when any value meets it, a negated one when none does. So two
// exact values of one header do not exclude each other. Of some fields Envoy
// keeps one value, and appends every further line to it behind a comma.
var joined = strings.Fields(`accept accept-encoding access-control-request-headers access-control-request-method
	access-control-request-private-network authorization cache-control cdn-loop content-encoding content-type expect
	grpc-accept-encoding grpc-timeout if-match if-modified-since if-none-match if-range if-unmodified-since origin pragma
	proxy-status referer user-agent via x-client-trace-id x-envoy-attempt-count x-envoy-decorator-operation
	x-envoy-downstream-service-cluster x-envoy-downstream-service-node x-envoy-external-address x-envoy-original-host
	x-envoy-original-path x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id`)

// Joined says that of a header there is one value, to which further lines are
// appended.
func Joined(name string) bool { return slices.Contains(joined, name) }

// seen are the values of a header as conditions see them.
func seen(name string, values []string) []string {
	if len(values) > 1 && Joined(name) {
		return []string{strings.Join(values, ",")}
	}
	return values
}

// AcceptsHeader says whether c accepts a header with these values, none when it
// is missing.
func AcceptsHeader(c model.NamedMatch, values []string) bool {
	c, values = plain(c), seen(c.Name, values)
	if c.Not || c.Kind == model.Absent {
		return !slices.ContainsFunc(values, func(v string) bool { return !AcceptsValue(c, v, true) })
	}
	return slices.ContainsFunc(values, func(v string) bool { return AcceptsValue(c, v, true) })
}

// HeaderCovers says that whatever values (or absence) b accepts, a accepts too.
// Both are about one name.
func HeaderCovers(a, b model.NamedMatch) bool {
	a, b = plain(a), plain(b)
	switch {
	case single(a.Name):
		return ValueCovers(a, b)
	case a == b:
		return true
	case b.Kind == model.Absent:
		return AcceptsValue(a, "", false)
	case a.Not && b.Not:
		return ValueCovers(negate(b), negate(a))
	case a.Not, b.Not, a.Kind == model.Absent:
		return false
	}
	return ValueCovers(a, b)
}

// HeadersDisjoint says that no list of values, nor absence, is accepted by both.
func HeadersDisjoint(a, b model.NamedMatch) bool {
	a, b = plain(a), plain(b)
	switch {
	case single(a.Name):
		return ValuesDisjoint(a, b)
	case a.Kind == model.Absent:
		return !AcceptsValue(b, "", false)
	case b.Kind == model.Absent:
		return !AcceptsValue(a, "", false)
	case a.Not && !b.Not:
		return ValueCovers(negate(a), b)
	case b.Not && !a.Not:
		return ValueCovers(negate(b), a)
	}
	return false
}

// single says that a request has exactly one value of a header.
func single(name string) bool { return name == model.HostHeader || name == model.SchemeHeader }
