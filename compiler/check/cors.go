package check

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/compiler/scope"
)

// serializedOrigin is what browsers send in Origin (RFC 6454 section 6.1): a
// scheme and a host in lower case, and a port where it is not the scheme's own.
var serializedOrigin = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?$`)

// strangers are origins that anybody can have, or all of them.
var strangers = []string{"*", "null", "https://stranger.invalid", "http://stranger.invalid", "https://stranger.invalid:8443"}

func (c *overIntent) cors(r *intent.Route) {
	p := r.CORS
	if p == nil {
		return
	}
	if len(p.Origins) == 0 {
		c.report(diag.WrongValue, p.At, "route %q: `origins` is an empty list", r.Name.V).Help = "name the origins, or leave `cors` out"
	}
	trusted := scope.Or(p.Credentials, false)
	for _, o := range p.Origins {
		c.origin(r, o, trusted)
	}
	c.methods(p.Methods)
	for _, list := range [][]intent.Value[string]{p.Headers, p.ExposeHeaders} {
		for _, h := range list {
			if !headerToken.MatchString(strings.ToLower(h.V)) {
				c.report(diag.BadHeader, h.At, "route %q: %q is not a header name", r.Name.V, h.V)
			} else if h.V == "*" && trusted {
				c.report(diag.BadCORS, h.At, "route %q: beside `credentials`, \"*\" is the name of a header and not every header", r.Name.V).Help = "name the headers"
			}
		}
	}
	if age, ok := c.duration(p.MaxAge, 0); ok && age%time.Second != 0 {
		c.report(diag.BadCORS, p.MaxAge.At, "route %q: browsers count whole seconds, and %s is none", r.Name.V, p.MaxAge.V)
	}
	if len(r.Match) > 0 && !slices.ContainsFunc(r.Match, takesPreflights) {
		c.report(diag.BadCORS, p.At, "route %q takes no OPTIONS, so it never answers a preflight", r.Name.V).Help = "let a match take method OPTIONS too"
	}
}

func (c *overIntent) origin(r *intent.Route, o *intent.NamedMatch, trusted bool) {
	switch kind := model.MatchKind(o.Kind.V); {
	case kind == model.Regex:
		before := len(c.diags)
		if c.regex(o.Value); len(c.diags) > before {
			return
		}
	case o.Value.V == "":
		c.report(diag.WrongValue, o.Value.At, "route %q: an empty %s", r.Name.V, o.Kind.V).Help = "write exact: \"*\" for every origin"
		return
	case kind == model.Exact && o.Value.V != "*" && o.Value.V != "null" && !serializedOrigin.MatchString(o.Value.V):
		c.report(diag.BadCORS, o.Value.At, "route %q: no browser sends the origin %q", r.Name.V, o.Value.V).
			Help = "an origin is a scheme and a host in lower case, perhaps a port, and no path: \"https://shop.example\""
		return
	}
	if !trusted {
		return
	}
	m := model.NamedMatch{Kind: model.MatchKind(o.Kind.V), Value: o.Value.V}
	for _, stranger := range strangers {
		if reach.AcceptsValue(m, stranger, true) {
			c.report(diag.BadCORS, o.Value.At, "route %q: with `credentials`, pages of any origin, such as %q, would act as the user", r.Name.V, stranger).Help = "name the origins"
			return
		}
	}
}

func takesPreflights(m *intent.Match) bool {
	options := func(v intent.Value[string]) bool { return v.V == "OPTIONS" }
	return (len(m.Methods) == 0 || slices.ContainsFunc(m.Methods, options)) && !slices.ContainsFunc(m.NotMethods, options)
}
