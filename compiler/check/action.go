package check

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// action checks what a route does: one of to, redirect and respond, and beside
// it only what has an effect.
func (c *overIntent) action(s *intent.Service, r *intent.Route) {
	answers := r.Redirect != nil || r.Respond != nil
	if both := r.Redirect != nil && r.Respond != nil; both || answers && r.To != nil {
		d := c.report(diag.NotExactlyOne, r.Name.At, "route %q has more than one of `to`, `redirect` and `respond`", r.Name.V)
		d.Help = "write one of them"
		var to diag.Range
		if len(r.To) > 0 {
			to = r.To[0].Version.At
		}
		relateArms(d, actions(to, r.Redirect, r.Respond)...)
		return
	}
	if answers {
		c.withoutDestination(r)
	} else {
		c.destinations(s, r)
		c.ofDestinations(s, r)
		c.mirrors(s, r)
		c.upgrades(s, r)
		c.sticky(r)
		c.cors(r)
	}
	c.redirect(r)
	c.respond(r)
	c.rewrite(r)
}

// withoutDestination reports what would be done on the way to one.
func (c *overIntent) withoutDestination(r *intent.Route) {
	report := func(at diag.Range, field string) {
		c.report(diag.NoEffectOnAnswer, at, "route %q answers by itself: `%s` does nothing", r.Name.V, field).Help = "take it away"
	}
	for field, v := range map[string]*intent.Value[string]{"timeout": r.Timeout, "maxDuration": r.MaxDuration, "idleTimeout": r.IdleTimeout} {
		if v != nil {
			report(v.At, field)
		}
	}
	for _, k := range r.Hash {
		report(k.At, "hash")
	}
	for _, m := range r.Mirror {
		report(m.At, "mirror")
	}
	for _, u := range r.Upgrades {
		report(u.At, "upgrades")
	}
	if r.CORS != nil {
		report(r.CORS.At, "cors")
	}
	if r.Sticky != nil {
		report(r.Sticky.At, "sticky")
	}
	if r.Retries != nil {
		report(r.Retries.At, "retries")
	}
	if r.RequestHeaders != nil {
		report(r.RequestHeaders.At, "requestHeaders")
	}
	if r.Rewrite != nil {
		report(r.Rewrite.At, "rewrite")
	}
	for _, d := range r.Destinations {
		report(d.At, "destinations")
	}
}

// ofDestinations reports changes for a version that gets no request. Where the
// split names a version that there is not, that is the mistake.
func (c *overIntent) ofDestinations(s *intent.Service, r *intent.Route) {
	has := func(name string) bool {
		return slices.ContainsFunc(s.Versions, func(v *intent.Version) bool { return v.Name.V == name })
	}
	mistaken := slices.ContainsFunc(r.To, func(w *intent.Weight) bool { return !has(w.Version.V) })
	for _, d := range r.Destinations {
		c.headerOps(d.RequestHeaders)
		c.headerOps(d.ResponseHeaders)
		var known []string
		sent := false
		for _, w := range r.To {
			known = append(known, w.Version.V)
			sent = sent || w.Version.V == d.Version.V
		}
		if !sent && !(mistaken && has(d.Version.V)) {
			x := c.report(diag.NoEffectOnAnswer, d.Version.At, "route %q does not send to version %q", r.Name.V, d.Version.V)
			meantLabel(x, d.Version, known, false)
		}
	}
}

func (c *overIntent) redirect(r *intent.Route) {
	w := r.Redirect
	if w == nil {
		return
	}
	if w.Scheme == nil && w.Host == nil && w.Port == nil && w.Path == nil && w.Prefix == nil {
		c.report(diag.BadRedirect, w.At, "route %q redirects a request to itself", r.Name.V).Help = "write scheme, host, port, path or prefix"
	}
	if w.Path != nil && w.Prefix != nil {
		c.report(diag.BadRedirect, w.Prefix.At, "route %q: `path` and `prefix` both say the path", r.Name.V).Help = "write one of them"
		return
	}
	switch scope.Or(w.Status, 301) {
	case 301, 302, 303, 307, 308:
	default:
		c.report(diag.WrongValue, w.Status.At, "route %q: %d is not a redirect", r.Name.V, w.Status.V).Help = "use 301, 302, 303, 307 or 308"
	}
	c.newPath(diag.BadRedirect, w.Path)
	c.newPrefix(diag.BadRedirect, r, w.Prefix)
}

// bodyLimit is Envoy's max_direct_response_body_size_bytes.
const bodyLimit = 4096

func (c *overIntent) respond(r *intent.Route) {
	w := r.Respond
	if w == nil {
		return
	}
	switch {
	case w.Status.V < 200 || w.Status.V > 599:
		c.report(diag.WrongValue, w.Status.At, "route %q: status %d is not between 200 and 599", r.Name.V, w.Status.V)
	case w.Body == nil && w.ContentType != nil:
		c.report(diag.BadRespond, w.ContentType.At, "route %q: there is no body to have a type", r.Name.V).Help = "write `body`"
	case w.Body != nil && (w.Status.V == 204 || w.Status.V == 205 || w.Status.V == 304):
		c.report(diag.BadRespond, w.Body.At, "route %q: an answer with status %d has no body", r.Name.V, w.Status.V).Help = "take `body` away"
	case w.Body != nil && len(w.Body.V) > bodyLimit:
		c.report(diag.BadRespond, w.Body.At, "route %q: the body has %d bytes, more than %d", r.Name.V, len(w.Body.V), bodyLimit)
	}
	if w.ContentType != nil {
		c.headerValue(&intent.KV{Key: intent.Value[string]{V: "content-type"}, Value: *w.ContentType})
	}
}

func (c *overIntent) rewrite(r *intent.Route) {
	w := r.Rewrite
	if w == nil {
		return
	}
	n := 0
	for _, written := range []bool{w.Path != nil, w.Prefix != nil, w.Regex != nil} {
		if written {
			n++
		}
	}
	switch {
	case n > 1:
		c.report(diag.BadRewrite, w.At, "route %q: more than one of `path`, `prefix` and `regex` says the path", r.Name.V).Help = "write one of them"
		return
	case n == 0 && w.Host == nil:
		c.report(diag.BadRewrite, w.At, "route %q: this rewrite changes nothing", r.Name.V).Help = "write host, path, prefix or regex"
	}
	if w.Host != nil && !isAuthority(strings.ToLower(w.Host.V)) {
		c.report(diag.BadHost, w.Host.At, "%q is not a host", w.Host.V).Help = "a host is a DNS name, perhaps with a colon and a port"
	}
	c.newPath(diag.BadRewrite, w.Path)
	c.newPrefix(diag.BadRewrite, r, w.Prefix)
	c.substitution(r, w.Regex)
}

func isAuthority(text string) bool {
	host, port, written := strings.Cut(text, ":")
	if written && (port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "") {
		return false
	}
	return isDNSName(host)
}

// newPath checks a path that a request is to have.
func (c *overIntent) newPath(code diag.Code, p *intent.Value[string]) {
	switch {
	case p == nil:
	case !strings.HasPrefix(p.V, "/"):
		c.report(code, p.At, "path %q does not begin with \"/\"", p.V)
	case strings.ContainsAny(p.V, "?#"):
		c.report(code, p.At, "path %q holds a query string or a fragment", p.V)
	case strings.ContainsFunc(p.V, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		c.report(code, p.At, "path %q holds what has to be percent-encoded", p.V).Help = "write it percent-encoded, as it is sent"
	}
}

// newPrefix checks what stands in place of the prefix that a route matches:
// every match has to have the same one.
func (c *overIntent) newPrefix(code diag.Code, r *intent.Route, by *intent.Value[string]) {
	if by == nil {
		return
	}
	c.newPath(code, by)
	if len(r.Match) == 0 {
		c.report(code, by.At, "route %q matches no prefix that %q could stand in place of", r.Name.V, by.V).Help = "write `match` with a path prefix or segmentPrefix, or `path`"
		return
	}
	var first *intent.PathMatch
	for _, m := range r.Match {
		p := m.Path
		if p == nil || p.Kind.V != string(model.Prefix) && p.Kind.V != string(model.SegmentPrefix) || scope.Or(p.Not, false) {
			c.report(code, by.At, "route %q: a match without a path prefix leaves nothing that %q could stand in place of", r.Name.V, by.V).
				Help = "make another route of that match"
			return
		}
		if first == nil {
			first = p
		}
		if p.Kind.V != first.Kind.V || p.Value.V != first.Value.V || scope.Or(p.IgnoreCase, false) != scope.Or(first.IgnoreCase, false) {
			c.report(code, by.At, "route %q matches more than one prefix", r.Name.V).Help = "make a route of each"
			return
		}
	}
}

var groupReference = regexp.MustCompile(`\\.?`)

// substitution checks that every group exists: RE2 would leave the path as it is.
func (c *overIntent) substitution(r *intent.Route, s *intent.Substitution) {
	if s == nil {
		return
	}
	c.regex(s.Pattern)
	re, err := regexp.Compile(s.Pattern.V)
	if err != nil {
		return // reported
	}
	for _, ref := range groupReference.FindAllString(s.Substitution.V, -1) {
		switch {
		case ref == `\\`:
		case len(ref) < 2 || ref[1] < '0' || ref[1] > '9':
			c.report(diag.BadRewrite, s.Substitution.At, "route %q: %q stands for nothing", r.Name.V, ref).Help = `write \\ for a backslash`
		case int(ref[1]-'0') > re.NumSubexp():
			c.report(diag.BadRewrite, s.Substitution.At, "route %q: the expression has %d groups, and none for %s", r.Name.V, re.NumSubexp(), ref)
		}
	}
	if strings.ContainsAny(s.Substitution.V, "?# \r\n\t") {
		c.report(diag.BadRewrite, s.Substitution.At, "route %q: the substitution holds what no path holds", r.Name.V)
	}
}
