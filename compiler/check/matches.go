package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (c *overIntent) matches() {
	for _, s := range c.in.services {
		for _, r := range s.Routes {
			c.matchList(r.Name, "match", r.Match)
			c.exceptions(r.Name, r.Except)
			c.grpcConditions(r, routePorts(s, r))
		}
	}
	for _, g := range c.in.gateways {
		for _, r := range g.Routes {
			c.matchList(r.Name, "match", r.Match)
			c.exceptions(r.Name, r.Except)
			for _, m := range slices.Concat(r.Match, r.Except) {
				c.claims("gateway \""+g.Name.V+"\"", g.Security, m.Claims)
			}
		}
	}
}

// matchList refuses written lists without elements: one that a template left
// empty must not come to mean everything.
func (c *overIntent) matchList(route intent.Value[string], field string, ms []*intent.Match) {
	if ms != nil && len(ms) == 0 {
		c.report(diag.WrongValue, route.At, "route %q: `%s` is an empty list", route.V, field).Help = "leave it out"
	}
	for _, m := range ms {
		c.match(route, m)
	}
}

func (c *overIntent) match(route intent.Value[string], m *intent.Match) {
	if m.Methods != nil && len(m.Methods) == 0 {
		c.report(diag.WrongValue, m.At, "route %q: `method` is an empty list", route.V).Help = "leave it out to take every method"
	}
	if m.NotMethods != nil && len(m.NotMethods) == 0 {
		c.report(diag.WrongValue, m.At, "route %q: `notMethod` is an empty list", route.V).Help = "leave it out to take every method"
	}
	c.methods(m.Methods)
	c.methods(m.NotMethods)
	c.methodsLeft(route, m)
	if m.Path != nil {
		c.path(m.Path)
	}
	c.hostCondition(m.Host)
	c.headerConditions(m.Headers)
	c.conditions("query key", m.Query)
	c.conditions("cookie", m.Cookies)
}

// path follows Envoy: the path is compared without the query string, and a
// segment prefix (path_separated_prefix) holds no "?" or "#" and does not end
// with "/".
func (c *overIntent) path(p *intent.PathMatch) {
	value, at := p.Value.V, p.Value.At
	if p.Kind.V == string(model.Regex) {
		c.regex(p.Value)
		if scope.Or(p.IgnoreCase, false) {
			c.report(diag.WrongValue, p.IgnoreCase.At, "`ignoreCase` has no effect on an expression").Help = "write (?i) at its beginning"
		}
		return
	}
	if p.Kind.V == intent.PathTemplate && !c.template(p) {
		return
	}
	switch {
	case !strings.HasPrefix(value, "/"):
		d := c.report(diag.BadPath, at, "path %q does not begin with \"/\"", value)
		d.Help = "every path of a request begins with \"/\""
		if slashed := "/" + value; plainPath(slashed, p.Kind.V) {
			writeText(d, p.Value, slashed)
		}
	case strings.ContainsAny(value, "?#"):
		c.report(diag.BadPath, at, "path %q holds a query string or a fragment", value).Help = "use `query` for conditions on the query string"
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		c.report(diag.BadPath, at, "path %q holds a space or a control character", value).Help = "write it percent-encoded, as it is sent"
	case p.Kind.V == string(model.SegmentPrefix) && strings.HasSuffix(value, "/"):
		help := fmt.Sprintf("write %q", strings.TrimRight(value, "/"))
		if value == "/" {
			help = "write `prefix: \"/\"`"
		}
		d := c.report(diag.BadPath, at, "segment prefix %q ends with \"/\"", value)
		d.Help = help
		if shorter := strings.TrimRight(value, "/"); plainPath(shorter, p.Kind.V) {
			writeText(d, p.Value, shorter)
		}
	}
}

// template says that a template of paths is one, which every proxy can read.
func (c *overIntent) template(p *intent.PathMatch) bool {
	expr, err := literal.Template(p.Value.V)
	if err != nil {
		c.report(diag.BadPath, p.Value.At, "%s", err).Help = "write \"{*}\" for a segment, and \"{**}\" at the end for any rest: \"/carts/{*}/items\"; a whole path is `exact`"
		return false
	}
	if err := RE2(expr); err != nil {
		c.report(diag.BadPath, p.Value.At, "path template %q, as an expression, %s", literal.Clip(p.Value.V), err)
		return false
	}
	return true
}

// plainPath says that a path of this kind has nothing that path reports.
func plainPath(value, kind string) bool {
	return strings.HasPrefix(value, "/") && !strings.ContainsAny(value, "?#") &&
		!strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) &&
		(kind != string(model.SegmentPrefix) || !strings.HasSuffix(value, "/"))
}

var methodName = regexp.MustCompile(`^[A-Z][A-Z0-9!#$%&'*+.^_|~-]*$`)

func (c *overIntent) methods(ms []intent.Value[string]) {
	for _, m := range ms {
		switch {
		case m.V == "CONNECT":
			c.report(diag.BadMethod, m.At, "method CONNECT is not routed").Help = "a CONNECT request has no path to route by"
		case !methodName.MatchString(m.V):
			d := c.report(diag.BadMethod, m.At, "%q is not an HTTP method", m.V)
			d.Help = "methods are written in upper case"
			meantMethod(d, m, ms)
		default:
			c.unusualMethod(m, ms)
		}
	}
}

func (c *overIntent) headerConditions(ns []*intent.NamedMatch) {
	seen := map[string]*intent.NamedMatch{}
	for _, n := range ns {
		name := strings.ToLower(n.Name.V)
		if first := seen[name]; first != nil {
			d := c.report(diag.DuplicateCondition, n.Name.At, "header %q is matched twice", name)
			if sameCondition(first, n) {
				d.WithFix("take the second one away", diag.Edit{Op: diag.RemoveField, Range: n.Name.At})
			}
			continue
		}
		seen[name] = n
		if why := unusableHeader(name); why != "" {
			c.report(diag.BadHeader, n.Name.At, "header %q cannot be matched: %s", n.Name.V, why)
			continue
		}
		c.condition("header", n)
	}
}

func (c *overIntent) conditions(kind string, ns []*intent.NamedMatch) {
	for _, n := range ns {
		if n.Name.V == "" {
			c.report(diag.WrongValue, n.Name.At, "a %s has no name", kind)
			continue
		}
		c.condition(kind, n)
	}
}

// condition refuses what Envoy's StringMatcher refuses: empty prefix, suffix
// and contains.
func (c *overIntent) condition(kind string, n *intent.NamedMatch) {
	switch model.MatchKind(n.Kind.V) {
	case model.Regex:
		c.regex(n.Value)
	case model.Range:
		if _, _, err := literal.Range(n.Value.V); err != nil {
			c.report(diag.WrongValue, n.Value.At, "%s %q: %s", kind, n.Name.V, err)
		}
	case model.Prefix, model.Suffix, model.Contains:
		if n.Value.V == "" {
			d := c.report(diag.WrongValue, n.Value.At, "%s %q: an empty %s holds for every value", kind, n.Name.V, n.Kind.V)
			d.Help = "write `present: true`"
		}
	}
}
