package route

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/dataplane/message"
)

// Rewrite is what upstreams get in place of the request's own.
type Rewrite struct {
	Host string        // "" keeps it
	Path *Substitution // nil keeps it
}

// Redirect is the URL that a client is sent to.
type Redirect struct {
	Scheme, Host, Port string // "" keeps it; Port begins with ":"
	Path               string // "" keeps it
	Rewrite            *Substitution
	StripQuery         bool
}

// Substitution puts text in place of every match in a path.
type Substitution struct {
	expr     *regexp.Regexp
	template string // Go's
}

func substitution(p *matcherv3.RegexMatchAndSubstitute) (*Substitution, error) {
	if p == nil {
		return nil, nil
	}
	expr, err := regexp.Compile(p.GetPattern().GetRegex())
	if err != nil {
		return nil, fmt.Errorf("regex_rewrite: %w", err)
	}
	template, err := goTemplate(p.GetSubstitution(), expr.NumSubexp())
	if err != nil {
		return nil, fmt.Errorf("regex_rewrite: substitution: %w", err)
	}
	return &Substitution{expr, template}, nil
}

// goTemplate says RE2's \1 as Go's ${1}. A reference to no group, with which
// RE2 would leave the path as it is, is refused.
func goTemplate(text string, groups int) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '$' {
			b.WriteString("$$")
			continue
		}
		if c != '\\' {
			b.WriteByte(c)
			continue
		}
		if i++; i == len(text) {
			return "", fmt.Errorf("%q ends with a backslash", text)
		}
		switch c = text[i]; {
		case c == '\\':
			b.WriteByte(c)
		case c < '0' || c > '9':
			return "", fmt.Errorf("%q: \\%c stands for nothing", text, c)
		case int(c-'0') > groups:
			return "", fmt.Errorf("%q: the expression has no group %c", text, c)
		default:
			b.WriteString("${" + string(c) + "}")
		}
	}
	return b.String(), nil
}

// Apply changes the path of a target and leaves its query.
func (s *Substitution) Apply(target string) string {
	path, rest := target, ""
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		path, rest = target[:i], target[i:]
	}
	return s.expr.ReplaceAllString(path, s.template) + rest
}

func rewrite(e *Entry, action *routev3.RouteAction) error {
	path, err := substitution(action.GetRegexRewrite())
	if err != nil {
		return err
	}
	if host := action.GetHostRewriteLiteral(); host != "" || path != nil {
		e.Rewrite = &Rewrite{Host: host, Path: path}
	}
	return nil
}

var redirectStatus = map[routev3.RedirectAction_RedirectResponseCode]int{
	routev3.RedirectAction_MOVED_PERMANENTLY:  301,
	routev3.RedirectAction_FOUND:              302,
	routev3.RedirectAction_SEE_OTHER:          303,
	routev3.RedirectAction_TEMPORARY_REDIRECT: 307,
	routev3.RedirectAction_PERMANENT_REDIRECT: 308,
}

func redirect(e *Entry, r *routev3.RedirectAction) error {
	status, ok := redirectStatus[r.GetResponseCode()]
	if !ok {
		return fmt.Errorf("redirect: response_code %v is not supported", r.GetResponseCode())
	}
	path, err := substitution(r.GetRegexRewrite())
	if err != nil {
		return fmt.Errorf("redirect: %w", err)
	}
	out := &Redirect{
		Scheme: lowerASCII(r.GetSchemeRedirect()), Host: r.GetHostRedirect(), Path: r.GetPathRedirect(), Rewrite: path, StripQuery: r.GetStripQuery(),
	}
	if r.GetHttpsRedirect() {
		out.Scheme = "https"
	}
	if port := r.GetPortRedirect(); port != 0 {
		out.Port = ":" + strconv.Itoa(int(port))
	}
	e.Direct.Status, e.Redirect = status, out
	return nil
}

// Location is the URL for a request, as Envoy's Http::Utility::newUri gives it.
func (r *Redirect) Location(req *message.Request) string {
	scheme, host, target := req.Scheme, r.Host, req.Target
	if r.Scheme != "" {
		scheme = r.Scheme
	}
	if host == "" {
		host = r.requestHost(req, scheme)
	}
	path, query, asked := strings.Cut(target, "?")
	switch {
	case r.Path != "" && strings.Contains(r.Path, "?"):
		return scheme + "://" + host + r.Port + r.Path
	case r.Path != "":
		path = r.Path
	case r.Rewrite != nil:
		if path = r.Rewrite.Apply(path); !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
	}
	if asked && !r.StripQuery {
		path += "?" + query
	}
	return scheme + "://" + host + r.Port + path
}

// requestHost is the request's authority: without its port where another is
// given, or where the scheme changes and the port was that of the old one.
func (r *Redirect) requestHost(req *message.Request, scheme string) string {
	host := req.Authority
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasPrefix(host, "[") && (i == 0 || host[i-1] != ']') {
		return host
	}
	own := req.Scheme == "http" && host[i:] == ":80" || req.Scheme == "https" && host[i:] == ":443"
	if r.Port != "" || scheme != req.Scheme && own {
		return host[:i]
	}
	return host
}
