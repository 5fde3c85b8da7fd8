package behave

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// Conditions of a server are conditions on the request that arrives. Most of
// them are conditions on the one that was sent, too: what a route puts in its
// place is known, and so is what it puts in front of a path.

// arrives is the condition of a match on the request as sent; hidden are those
// of its conditions that are none on that request, nil for none.
func (v view) arrives(m *model.Match) (when reach.Pred, hidden *model.Match) {
	as := *m
	as.Paths, as.Headers, as.Claims = nil, nil, nil
	rest := model.Match{}
	var all []reach.Pred
	note := func(p reach.Pred, decided bool, hide func()) {
		if !decided {
			hide()
			return
		}
		all = append(all, p)
	}
	for _, c := range m.Paths {
		p, decided := v.pathArrives(c)
		note(p, decided, func() { rest.Paths = append(rest.Paths, c) })
	}
	own := *m
	if !v.unverified {
		own = model.OfClaims(v.jwt, []model.Match{*m})[0]
	}
	for _, c := range own.Headers {
		p, decided := v.headerArrives(c)
		note(p, decided, func() { rest.Headers = append(rest.Headers, c) })
	}
	for _, c := range own.Claims {
		all = append(all, v.claim(c))
	}
	if _, touched := v.fields["cookie"]; touched {
		as.Cookies, rest.Cookies = nil, m.Cookies
	}
	all = append(all, reach.OfMatch(as))
	if len(rest.Paths)+len(rest.Headers)+len(rest.Cookies) > 0 {
		hidden = &rest
	}
	return reach.All(all...), hidden
}

// claim is a condition on a claim of a token that may have been taken out.
func (v view) claim(c model.NamedMatch) reach.Pred {
	provider, _ := model.SplitClaim(c.Name)
	if v.takenOut(provider) {
		return truth(reach.AcceptsHeader(c, nil))
	}
	c.Yields = strings.Join(slices.DeleteFunc(c.YieldsTo(), v.takenOut), ",")
	return reach.OfClaim(c)
}

// token is the condition that there is one of a provider.
func (v view) token(provider string) reach.Pred {
	if v.takenOut(provider) {
		return reach.Any()
	}
	return reach.HasToken(provider)
}

// takenOut says that the gateway takes the tokens of a provider out.
func (v view) takenOut(provider string) bool {
	t := model.JWTNamed(v.jwt, provider)
	return v.gateway != nil && t != nil && model.TakesOut(v.gateway.JWT, t)
}

// fieldWay is what becomes of a header on the way; open where that is not the
// same for all destinations.
type fieldWay struct {
	field
	open bool
}

// fieldWays of the headers that a route touches.
func fieldWays(r *model.Route) map[string]fieldWay {
	out := map[string]fieldWay{}
	all := []map[string]field{fieldsOf(r.RequestHeaders)}
	if len(r.Split) > 0 {
		all = mapped(r.Split, func(d model.Split) map[string]field { return fieldsOf(d.RequestHeaders, r.RequestHeaders) })
	}
	for _, fields := range all {
		for name, f := range fields {
			alike := func(o map[string]field) bool {
				return o[name].cleared == f.cleared && slices.Equal(o[name].values, f.values)
			}
			out[name] = fieldWay{f, slices.ContainsFunc(all, func(o map[string]field) bool { return !alike(o) })}
		}
	}
	return out
}

// headerArrives is a condition on a header; decided says that it is known. A
// value that was added is one of several, or joined to the client's.
func (v view) headerArrives(c model.NamedMatch) (p reach.Pred, decided bool) {
	if c.Name == model.HostHeader && v.host != "" {
		return truth(reach.AcceptsHeader(c, []string{v.host})), true
	}
	f, touched := v.fields[c.Name]
	switch {
	case !touched:
		return v.came(c), true
	case f.open || !f.cleared && reach.Joined(c.Name):
		return reach.Pred{}, false
	case f.cleared:
		return truth(reach.AcceptsHeader(c, f.values)), true
	}
	// A condition holds when any value meets it, a negated one when none does.
	alone := reach.AcceptsHeader(c, f.values)
	if c.Not || c.Kind == model.Absent {
		if !alone {
			return reach.Any(), true
		}
	} else if alone {
		return reach.All(), true
	}
	return v.came(c), true
}

// came is a condition on a header as it came to the route: a gateway has put
// claims into some.
func (v view) came(c model.NamedMatch) reach.Pred {
	if v.gateway == nil {
		return reach.OfNamed(reach.Header, c)
	}
	return reach.OfMatches(model.OfClaims(v.gateway.JWT, []model.Match{{Headers: []model.NamedMatch{c}}}))
}

// pathWay is what a substitution has made of a path that it changed.
type pathWay struct {
	whole bool   // the path is put, whatever it was
	put   string // that begins it otherwise; "" where that is not known
	// cut is an expression of one length that put took the place of; "" where it
	// is not known what followed put before. With slash, one behind it is cut too.
	cut   string
	slash bool
}

// pathWayOf a substitution that lower has made of a path or prefix, and what is
// known of any other.
func pathWayOf(s *model.Substitution) *pathWay {
	text, verbatim := literalText(s.Text)
	if s.Pattern == "^.+$" && verbatim {
		return &pathWay{whole: true, put: text}
	}
	cut, anchored := strings.CutPrefix(s.Pattern, "^")
	cut, slash := strings.CutSuffix(cut, "/?")
	if anchored && verbatim && fixed(cut) {
		return &pathWay{put: text, cut: cut, slash: slash}
	}
	return &pathWay{put: stem(s)}
}

// literalText is the text of a substitution up to its first group; whole says
// that it has none.
func literalText(text string) (out string, whole bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		if i++; i == len(text) || text[i] != '\\' {
			return b.String(), false
		}
		b.WriteByte('\\')
	}
	return b.String(), true
}

// fixed says that an expression is a text whose letters may be of either case,
// so that it begins a path in one way only.
func fixed(expr string) bool {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return false
	}
	char := func(re *syntax.Regexp) bool { return re.Op == syntax.OpLiteral || re.Op == syntax.OpCharClass }
	return char(re) || re.Op == syntax.OpConcat && !slices.ContainsFunc(re.Sub, func(s *syntax.Regexp) bool { return !char(s) })
}

// stem is what begins every path that the substitution has changed: the text up
// to its first group, if it takes the place of the path's beginning.
func stem(s *model.Substitution) string {
	re, err := syntax.Parse(s.Pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil || prog.StartCond()&syntax.EmptyBeginText == 0 {
		return ""
	}
	text, _ := literalText(s.Text)
	return text
}

// pathArrives is a condition on the path; decided says that it is known.
func (v view) pathArrives(c model.PathMatch) (p reach.Pred, decided bool) {
	w := v.path
	switch {
	case w == nil:
		return reach.OfPath(c), true
	case w.whole:
		return truth(reach.AcceptsPath(c, w.put)), true
	}
	if w.cut == "" {
		begins := reach.OfPath(model.PathMatch{Kind: model.Prefix, Value: w.put})
		if never, err := reach.Overlap(begins, reach.OfPath(c)); err == nil && never == nil {
			return reach.Any(), true
		}
		if other, err := reach.Uncovered(begins, reach.OfPath(c)); err == nil && other == nil {
			return reach.All(), true
		}
		return reach.Pred{}, false
	}
	p = w.before(expression(c))
	if c.Not {
		p = reach.Not(p)
	}
	return p, true
}

// before is the paths that an expression matches once put is in the place of
// what is cut off.
func (w *pathWay) before(expr string) reach.Pred {
	path := func(t reach.Text) reach.Pred { return reach.Is(reach.Dim{Kind: reach.Path}, t) }
	plain := path(reach.Replaced(w.cut, w.put, expr))
	if !w.slash {
		return plain
	}
	return reach.Any(path(reach.Replaced(w.cut+"/", w.put, expr)), reach.All(plain, reach.Not(path(reach.Matching(w.cut+"/(?s:.*)")))))
}

// expression is what a condition on the path asks for, whatever its Not is.
func expression(c model.PathMatch) string {
	quote := regexp.QuoteMeta
	if c.IgnoreCase {
		quote = literal.QuoteFold
	}
	switch c.Kind {
	case model.Prefix:
		return quote(c.Value) + "(?s:.*)"
	case model.SegmentPrefix:
		return quote(c.Value) + "(?s:/.*)?"
	case model.Regex:
		return c.Value
	}
	return quote(c.Value)
}
