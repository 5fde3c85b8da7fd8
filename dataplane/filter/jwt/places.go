package jwt

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// place is where tokens are looked for, and whose may be there.
type place struct {
	header, prefix string
	query, cookie  string
	issuers        []string // "" for any
}

// order is Envoy's: headers by name and prefix, then parameters, then cookies.
func (p *place) order() (int, string) {
	switch {
	case p.header != "":
		return 0, p.header + p.prefix
	case p.query != "":
		return 1, p.query
	}
	return 2, p.cookie
}

func (p *place) takes(issuer string) bool {
	return slices.Contains(p.issuers, "") || slices.Contains(p.issuers, issuer)
}

// places are those of providers, each once.
func places(list []*provider) []place {
	var out []place
	for _, p := range list {
		for _, at := range p.from {
			at.issuers = []string{p.issuer}
			same := slices.IndexFunc(out, func(o place) bool {
				return o.header == at.header && o.prefix == at.prefix && o.query == at.query && o.cookie == at.cookie
			})
			if same < 0 {
				out = append(out, at)
			} else {
				out[same].issuers = append(out[same].issuers, p.issuer)
			}
		}
	}
	slices.SortFunc(out, func(a, b place) int {
		i, x := a.order()
		j, y := b.order()
		return cmp.Or(cmp.Compare(i, j), cmp.Compare(x, y))
	})
	return out
}

func placesOf(p *jwtv3.JwtProvider) []place {
	var out []place
	for _, h := range p.GetFromHeaders() {
		out = append(out, place{header: strings.ToLower(h.GetName()), prefix: h.GetValuePrefix()})
	}
	for _, name := range p.GetFromParams() {
		out = append(out, place{query: name})
	}
	for _, name := range p.GetFromCookies() {
		out = append(out, place{cookie: name})
	}
	if len(out) == 0 {
		out = []place{{header: "authorization", prefix: "Bearer "}, {query: "access_token"}}
	}
	return out
}

// find appends the tokens that are there: every value of a header, the first of a
// parameter or cookie.
func (p *place) find(req *message.Request, out []found) []found {
	switch {
	case p.header != "":
		for i := range req.Fields {
			if req.Fields[i].Name != p.header {
				continue
			}
			value := req.Fields[i].Value
			at := strings.Index(value, p.prefix)
			if at < 0 {
				continue
			}
			out = append(out, found{p, strings.Trim(value[at+len(p.prefix):], " \t")})
		}
	case p.query != "":
		if value, ok := query(req.RawQuery(), p.query); ok {
			out = append(out, found{p, value})
		}
	default:
		if value, ok := route.CookieOf(req, p.cookie); ok {
			out = append(out, found{p, value})
		}
	}
	return out
}

// found is a token and where it was.
type found struct {
	at   *place
	text string
}

// remove takes the token out of the request; Envoy leaves cookies alone.
func (p *place) remove(req *message.Request) {
	switch {
	case p.header != "":
		removeField(req, p.header)
	case p.query != "":
		req.Target = without(req.Target, p.query)
	}
}

func removeField(req *message.Request, name string) {
	req.Fields = slices.DeleteFunc(req.Fields, func(f message.Field) bool { return f.Name == name })
}

func query(raw, name string) (string, bool) {
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		key, value, _ := strings.Cut(pair, "=")
		if decoded(key) == name {
			return decoded(value), true
		}
	}
	return "", false
}

// without is the target without a parameter of its query; the others stay as
// they are.
func without(target, name string) string {
	path, raw, ok := strings.Cut(target, "?")
	if !ok {
		return target
	}
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		if key, _, _ := strings.Cut(pair, "="); decoded(key) != name {
			kept = append(kept, pair)
		}
	}
	if len(kept) == 0 {
		return path
	}
	return path + "?" + strings.Join(kept, "&")
}

func decoded(s string) string {
	if out, err := url.PathUnescape(s); err == nil {
		return out
	}
	return s
}
