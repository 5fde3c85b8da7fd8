package route

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/dataplane/message"
)

// HashKey is a part of a request that chooses its endpoint.
type HashKey struct {
	From     HashFrom
	Name     string // of the header (lower case), cookie or query parameter
	Terminal bool   // later keys are not asked when there is a hash
	// Cookie is how a missing cookie is made; nil: it is not.
	Cookie *HashCookie
}

// HashFrom says where a key is.
type HashFrom uint8

// Places of keys.
const (
	HashHeader HashFrom = iota
	HashCookieValue
	HashQuery
	HashSource
)

// HashCookie is a cookie that the proxy gives to clients that have none.
type HashCookie struct {
	Path       string
	TTL        time.Duration // whole seconds; 0 = for the session
	Attributes []string      // rendered
}

func hashPolicy(list []*routev3.RouteAction_HashPolicy) ([]HashKey, error) {
	var out []HashKey
	for i, p := range list {
		k, err := hashKey(p)
		if err != nil {
			return nil, fmt.Errorf("hash_policy[%d]: %w", i, err)
		}
		k.Terminal = p.GetTerminal()
		out = append(out, k)
	}
	return out, nil
}

func hashKey(p *routev3.RouteAction_HashPolicy) (HashKey, error) {
	switch by := p.GetPolicySpecifier().(type) {
	case *routev3.RouteAction_HashPolicy_Header_:
		return HashKey{From: HashHeader, Name: lowerASCII(by.Header.GetHeaderName())}, nil
	case *routev3.RouteAction_HashPolicy_Cookie_:
		return cookieKey(by.Cookie)
	case *routev3.RouteAction_HashPolicy_QueryParameter_:
		return HashKey{From: HashQuery, Name: by.QueryParameter.GetName()}, nil
	case *routev3.RouteAction_HashPolicy_ConnectionProperties_:
		if !by.ConnectionProperties.GetSourceIp() {
			return HashKey{}, errors.New("connection_properties: only source_ip is supported")
		}
		return HashKey{From: HashSource}, nil
	}
	return HashKey{}, errors.New("needs header, cookie, query_parameter or connection_properties")
}

func cookieKey(c *routev3.RouteAction_HashPolicy_Cookie) (HashKey, error) {
	k := HashKey{From: HashCookieValue, Name: c.GetName()}
	if c.GetTtl() == nil {
		return k, nil
	}
	k.Cookie = &HashCookie{Path: c.GetPath(), TTL: c.GetTtl().AsDuration().Truncate(time.Second)}
	if k.Cookie.TTL < 0 {
		return k, errors.New("cookie: ttl is negative")
	}
	for _, a := range c.GetAttributes() {
		text := a.GetName()
		if a.GetValue() != "" {
			text += "=" + a.GetValue()
		}
		if strings.ContainsAny(text, "\r\n\x00;") {
			return k, fmt.Errorf("cookie: attribute %q holds what ends one", a.GetName())
		}
		k.Cookie.Attributes = append(k.Cookie.Attributes, text)
	}
	if strings.ContainsAny(k.Name+k.Cookie.Path, "\r\n\x00;") {
		return k, fmt.Errorf("cookie: name %q or path %q holds what ends one", k.Name, k.Cookie.Path)
	}
	return k, nil
}

// Hash of a request, and whether it has any of the keys. source is the client's
// address. made gives the value of a cookie that the client gets now. The hash is
// Envoy's (hash_policy.cc): xxHash64 of each key, rotated and xored.
func Hash(keys []HashKey, req *message.Request, source netip.Addr, made func(*HashKey) string) (hash uint64, ok bool) {
	for i := range keys {
		k := &keys[i]
		if h, has := k.hash(req, source, made); has {
			hash, ok = (hash<<1|hash>>63)^h, true
		}
		if ok && k.Terminal {
			break
		}
	}
	return hash, ok
}

func (k *HashKey) hash(req *message.Request, source netip.Addr, made func(*HashKey) string) (uint64, bool) {
	switch k.From {
	case HashHeader:
		return headerHash(req, k.Name)
	case HashQuery:
		value, ok := queryValue(req, k.Name)
		return xxhash.Sum64String(value), ok
	case HashSource:
		var text [64]byte
		return xxhash.Sum64(source.AppendTo(text[:0])), source.IsValid()
	}
	value, _ := CookieOf(req, k.Name)
	if value == "" && k.Cookie != nil {
		value = made(k)
		return xxhash.Sum64String(value), true
	}
	return xxhash.Sum64String(value), value != ""
}

// headerHash does not depend on the order of several values: they are sorted,
// and the hash of each is the seed of the next.
func headerHash(req *message.Request, name string) (uint64, bool) {
	if value, ok := pseudo(req, name); ok {
		return xxhash.Sum64String(value), value != ""
	}
	var few [4]string
	values := few[:0]
	for i := range req.Fields {
		if req.Fields[i].Name == name {
			values = append(values, req.Fields[i].Value)
		}
	}
	switch {
	case len(values) == 0:
		return 0, false
	case len(values) == 1:
		return xxhash.Sum64String(values[0]), true
	case joined[name]:
		return xxhash.Sum64String(strings.Join(values, ",")), true
	}
	slices.Sort(values)
	hash := uint64(0)
	for _, v := range values {
		d := xxhash.NewWithSeed(hash)
		_, _ = d.WriteString(v) // never fails, by its contract
		hash = d.Sum64()
	}
	return hash, true
}

// CookieValue makes the value of a cookie from both ends of a connection, so
// that requests that race on it get the same one.
func CookieValue(remote, local string) string {
	return hex64(xxhash.Sum64String(remote + local))
}

func hex64(n uint64) string {
	text := strconv.FormatUint(n, 16)
	return strings.Repeat("0", 16-len(text)) + text
}

// SetCookie is the field value that gives the client the cookie.
func (k *HashKey) SetCookie(value string) string {
	var b strings.Builder
	b.WriteString(k.Name + `="` + value + `"`)
	if k.Cookie.TTL > 0 {
		b.WriteString("; Max-Age=" + strconv.FormatInt(int64(k.Cookie.TTL/time.Second), 10))
	}
	if k.Cookie.Path != "" {
		b.WriteString("; Path=" + k.Cookie.Path)
	}
	for _, a := range k.Cookie.Attributes {
		b.WriteString("; " + a)
	}
	b.WriteString("; HttpOnly")
	return b.String()
}
