// Package answer evaluates one request against the model: which rule takes it,
// where it goes and whether it is let in. Conditions mean what they mean to
// Envoy; the comments name the rule.
package answer

import (
	"net/netip"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// Request is one request as a proxy sees it.
type Request struct {
	Method  string         `json:"method"`
	Host    string         `json:"host"` // without port
	Port    uint16         `json:"port"`
	Target  string         `json:"target"` // path and query as sent
	Headers []model.Header `json:"-"`      // in the order of the wire, names in any case
	Claims  []model.Header `json:"-"`      // of its valid tokens, by model.ClaimName; a provider alone says that there is one
	Source  netip.Addr     `json:"-"`      // of the connection that the judging proxy sees; zero: not given
	Client  netip.Addr     `json:"-"`      // as the proxies in front of a gateway tell that are believed; zero: as x-forwarded-for says
	Through netip.Addr     `json:"-"`      // of the gateway, as the service behind it sees it; zero: not given
	Edge    bool           `json:"-"`      // sent to a gateway, which believes no x-forwarded-proto
	TLS     bool           `json:"-"`      // the client's connection to the gateway is TLS
}

// Path is the target without the query string.
func (r *Request) Path() string {
	path, _, _ := strings.Cut(r.Target, "?")
	return path
}

// Query gives the first value of a query key. Keys and values are compared as
// sent, without percent-decoding; a key without "=" has the empty value
// (Envoy: QueryParamsMulti::parseQueryString, getFirstValue).
func (r *Request) Query(key string) (string, bool) {
	_, query, _ := strings.Cut(r.Target, "?")
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if name == key {
			return value, true
		}
	}
	return "", false
}

// Header gives the values of a header, or of a pseudo-header that a match may
// speak of; none when it is missing.
func (r *Request) Header(name string) []string {
	switch name {
	case model.HostHeader:
		return []string{strings.ToLower(r.Host)}
	case model.SchemeHeader:
		return []string{r.Scheme()}
	}
	var values []string
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			values = append(values, h.Value)
		}
	}
	return values
}

// Scheme is what x-forwarded-proto says, where a proxy believes it, else that of
// the client's connection (Envoy: ConnectionManagerUtility::mutateRequestHeaders).
func (r *Request) Scheme() string {
	if r.Edge {
		return r.Spoken()
	}
	for _, h := range r.Headers {
		if v := strings.ToLower(h.Value); strings.EqualFold(h.Name, "x-forwarded-proto") && (v == "http" || v == "https") {
			return v
		}
	}
	return r.Spoken()
}

// Spoken is the scheme of the client's own connection.
func (r *Request) Spoken() string {
	if r.TLS {
		return "https"
	}
	return "http"
}

// Cookie gives the first value of a cookie. Only spaces before the name are
// taken away, a part without "=" is passed over, and one pair of double quotes
// around the value is dropped (Envoy: Utility::parseCookies).
func (r *Request) Cookie(name string) (string, bool) {
	for _, h := range r.Headers {
		if !strings.EqualFold(h.Name, "cookie") {
			continue
		}
		for part := range strings.SplitSeq(h.Value, ";") {
			key, value, ok := strings.Cut(strings.TrimLeft(part, " "), "=")
			if ok && key == name {
				return unquote(value), true
			}
		}
	}
	return "", false
}

func unquote(v string) string {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1]
	}
	return v
}
