package answer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// Location is the URL that a redirect sends a request to, as Envoy's
// Http::Utility::newUri says it. A port that the client wrote out is not known
// here: the request's is taken for written unless it is the scheme's own.
func Location(r *model.Redirect, req *Request) string {
	scheme := req.Scheme()
	host := req.Host
	if req.Port != 0 && req.Port != standardPort(scheme) {
		host += ":" + strconv.Itoa(int(req.Port))
	}
	if r.Scheme != "" {
		scheme = r.Scheme
	}
	if r.Host != "" {
		host = r.Host
	}
	if r.Port != 0 {
		name, _, _ := strings.Cut(host, ":")
		host = name + ":" + strconv.Itoa(int(r.Port))
	}
	path, query, asked := strings.Cut(req.Target, "?")
	switch {
	case r.Path != "":
		path = r.Path
	case r.Rewrite != nil:
		if path = Substitute(r.Rewrite, path); !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
	}
	if asked && !r.StripQuery {
		path += "?" + query
	}
	return scheme + "://" + host + path
}

func standardPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}

// Substitute puts the text in place of every match in path, as RE2's
// GlobalReplace does. An expression that does not compile changes nothing.
func Substitute(s *model.Substitution, path string) string {
	re, err := regexp.Compile(s.Pattern)
	if err != nil {
		return path
	}
	return re.ReplaceAllString(path, goTemplate(s.Text))
}

// goTemplate says RE2's \1 as Go's ${1}.
func goTemplate(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '$':
			b.WriteString("$$")
		case text[i] == '\\' && i+1 < len(text):
			if i++; text[i] == '\\' {
				b.WriteByte('\\')
			} else {
				b.WriteString("${" + text[i:i+1] + "}")
			}
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// sent is what a rewrite makes of the request; nil without one.
func (a *asking) sent(r *model.Rewrite) *Sent {
	if r == nil {
		return nil
	}
	out := &Sent{Host: r.Host}
	if r.Path != nil {
		path, query, asked := strings.Cut(a.req.Target, "?")
		if out.Path = Substitute(r.Path, path); asked {
			out.Path += "?" + query
		}
	}
	return out
}

func respondText(r *model.Respond) string {
	out := strconv.Itoa(int(r.Status))
	if r.Body == "" {
		return out
	}
	kind := r.ContentType
	if kind == "" {
		kind = "text/plain"
	}
	return fmt.Sprintf("%s %s %q", out, kind, literal.Clip(r.Body))
}
