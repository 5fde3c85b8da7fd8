package check_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/apart"
)

// asking is a request and who sends it.
type asking struct {
	caller string
	req    *answer.Request
}

// axis is a coordinate of requests: values of it, of which every other one is
// like one of these to all conditions that draw makes, and the conditions on it.
type axis struct {
	name   string
	values []func(*asking)
	draw   func(*model.Match, *rand.Rand) // adds a condition; nil: rules and routes have their own
	match  func(model.Match) model.Match  // its conditions alone
	rule   func(model.Rule) model.Rule    // its conditions alone, and no other of a rule that holds for Any

	reps []asking // the values, of a request that has no others
}

func (a *axis) ready() *axis {
	if a.match == nil {
		a.match = func(model.Match) model.Match { return model.Match{} }
	}
	if a.rule == nil {
		a.rule = func(model.Rule) model.Rule { return model.Rule{Any: true} }
	}
	for _, set := range a.values {
		q := plainAsking()
		set(&q)
		a.reps = append(a.reps, q)
	}
	return a
}

// plainAsking has the first value of every coordinate that everybody has, and no
// other.
func plainAsking() asking {
	return asking{req: &answer.Request{
		Method: "GET", Host: "a", Target: "/", Port: 80, Source: netip.MustParseAddr("10.0.0.1"), Client: netip.MustParseAddr("10.0.0.1"),
	}}
}

// domain is every combination of the values of some coordinates. What conditions
// on these coordinates alone say of it, they say of everything.
type domain struct{ axes []*axis }

func (d *domain) size() int {
	n := 1
	for _, a := range d.axes {
		n *= len(a.values)
	}
	return n
}

// digit is which value of a coordinate request i has; 0 without the coordinate.
func (d *domain) digit(i int, name string) int {
	for _, a := range slices.Backward(d.axes) {
		if a.name == name {
			return i % len(a.values)
		}
		i /= len(a.values)
	}
	return 0
}

// at is request i.
func (d *domain) at(i int) asking {
	q := plainAsking()
	for _, a := range d.axes { // in this order: a query stands behind its path
		a.values[d.digit(i, a.name)](&q)
	}
	return q
}

// where marks the requests of which each coordinate's value, alone, is good.
func (d *domain) where(good func(a *axis, q asking) bool) []bool {
	marks := []bool{true}
	for _, a := range d.axes {
		ok := make([]bool, len(a.reps))
		for v, q := range a.reps {
			ok[v] = good(a, q)
		}
		next := make([]bool, len(marks)*len(ok))
		for i, m := range marks {
			if m {
				copy(next[i*len(ok):], ok)
			}
		}
		marks = next
	}
	return marks
}

// accepts marks what a match accepts, by package answer.
func (d *domain) accepts(m model.Match) []bool {
	parts := map[*axis]*model.Match{}
	for _, a := range d.axes {
		part := a.match(m)
		parts[a] = &part
	}
	return d.where(func(a *axis, q asking) bool { return answer.Accepts(parts[a], q.req) })
}

// any marks what one of a list accepts; an empty list accepts everything.
func (d *domain) any(list []model.Match) []bool {
	if len(list) == 0 {
		return d.where(func(*axis, asking) bool { return true })
	}
	out := make([]bool, d.size())
	for _, m := range list {
		join(out, d.accepts(m))
	}
	return out
}

// takes marks what a route takes.
func (d *domain) takes(r *model.Route) []bool {
	on := d.where(func(a *axis, q asking) bool { return a.name != "port" || slices.Contains(r.Ports, q.req.Port) })
	return both(on, d.any(r.Match))
}

// holds marks what a rule holds for, by package answer.
func (d *domain) holds(r *model.Rule) []bool {
	parts := map[*axis]*model.Service{}
	for _, a := range d.axes {
		part := a.rule(*r)
		parts[a] = &model.Service{Allow: []model.Rule{part}}
	}
	return d.where(func(a *axis, q asking) bool {
		return answer.Authorize("td", parts[a], q.caller, q.req, q.req.Port).Allowed
	})
}

// some says that a request of the domain is marked.
func some(marks []bool) bool { return slices.Contains(marks, true) }

// both marks what both mark.
func both(a, b []bool) []bool {
	out := make([]bool, len(a))
	for i := range a {
		out[i] = a[i] && b[i]
	}
	return out
}

// join adds the marks of b to a.
func join(a, b []bool) {
	for i, m := range b {
		a[i] = a[i] || m
	}
}

// first is, for every request, the index of the first list that marks it, or how
// many lists there are.
func first(lists [][]bool, size int) []int {
	out := make([]int, size)
	for k := range out {
		out[k] = len(lists)
		for i, l := range lists {
			if l[k] {
				out[k] = i
				break
			}
		}
	}
	return out
}

// letters stand for all characters of a value: those that conditions name are
// among them, and others of each sort. Spaces and controls are like "-" to them.
const letters = "abcdABxyz0123456789-_/.:+"

// words are values that conditions tell apart.
func words(legal, domain string, patterns []string) []string {
	out, err := apart.Words(legal, domain, patterns...)
	if err != nil {
		panic(err)
	}
	return out
}

// pattern is a condition's text as an expression.
func pattern(kind model.MatchKind, value string) string {
	literal := regexp.QuoteMeta(value)
	switch kind {
	case model.Exact:
		return literal
	case model.Prefix:
		return literal + "(?s:.*)"
	case model.SegmentPrefix:
		return literal + "(?s:/.*)?"
	case model.Suffix:
		return "(?s:.*)" + literal
	case model.Contains:
		return "(?s:.*)" + literal + "(?s:.*)"
	case model.Regex:
		return value
	}
	return "(?s:.*)"
}

// pathPool are the conditions on paths, without those turned round.
var pathPool = []model.PathMatch{
	{Kind: model.Exact, Value: "/"}, {Kind: model.Exact, Value: "/a"}, {Kind: model.Exact, Value: "/b"}, {Kind: model.Exact, Value: "/a/"},
	{Kind: model.Prefix, Value: "/"}, {Kind: model.Prefix, Value: "/a"}, {Kind: model.Prefix, Value: "/b"}, {Kind: model.Prefix, Value: "/a/"},
	{Kind: model.SegmentPrefix, Value: "/a"}, {Kind: model.SegmentPrefix, Value: "/b"}, {Kind: model.SegmentPrefix, Value: "/a/b"},
	{Kind: model.Prefix, Value: "/A", IgnoreCase: true},
	{Kind: model.Regex, Value: "/[ab]"}, {Kind: model.Regex, Value: "/a.*"}, {Kind: model.Regex, Value: "/(a|b)b?"},
	{Kind: model.Regex, Value: "/[ab]+/?"}, {Kind: model.Regex, Value: "/b?"}, {Kind: model.Regex, Value: "[^b]*"},
}

func drawPath(rng *rand.Rand) model.PathMatch {
	p := pathPool[rng.IntN(len(pathPool))]
	if rng.IntN(3) == 0 { // expressions are a third of all
		p = pathPool[len(pathPool)-6+rng.IntN(6)]
	}
	return p
}

var pathAxis = sync.OnceValue(func() *axis {
	var patterns []string
	for _, p := range pathPool {
		text := pattern(p.Kind, p.Value)
		if p.IgnoreCase {
			text = "(?i:" + text + ")"
		}
		patterns = append(patterns, text)
	}
	a := &axis{
		name: "path",
		draw: func(m *model.Match, rng *rand.Rand) {
			p := drawPath(rng)
			p.Not = rng.IntN(4) == 0
			m.Paths = append(m.Paths, p)
		},
		match: func(m model.Match) model.Match { return model.Match{Paths: m.Paths} },
		rule:  func(r model.Rule) model.Rule { return model.Rule{Any: true, Paths: r.Paths, NotPaths: r.NotPaths} },
	}
	for _, w := range words("abcAB/_", "/.*", patterns) {
		a.values = append(a.values, func(q *asking) { q.req.Target = w })
	}
	return a.ready()
})

var methodAxis = sync.OnceValue(func() *axis {
	a := &axis{
		name: "method",
		draw: func(m *model.Match, rng *rand.Rand) {
			list := [][]string{{"GET"}, {"POST"}, {"GET", "POST"}, {"OPTIONS"}}[rng.IntN(4)]
			if m.Methods, m.NotMethods = list, nil; rng.IntN(3) == 0 {
				m.Methods, m.NotMethods = nil, list
			}
		},
		match: func(m model.Match) model.Match { return model.Match{Methods: m.Methods, NotMethods: m.NotMethods} },
		rule: func(r model.Rule) model.Rule {
			return model.Rule{Any: true, Methods: r.Methods, NotMethods: r.NotMethods}
		},
	}
	for _, method := range []string{"GET", "POST", "OPTIONS", "PUT"} { // PUT is like every other one
		a.values = append(a.values, func(q *asking) { q.req.Method = method })
	}
	return a.ready()
})

var portAxis = sync.OnceValue(func() *axis {
	a := &axis{name: "port", rule: func(r model.Rule) model.Rule { return model.Rule{Any: true, Ports: r.Ports, NotPorts: r.NotPorts} }}
	for _, port := range []uint16{80, 81} { // the service has no other
		a.values = append(a.values, func(q *asking) { q.req.Port = port })
	}
	return a.ready()
})

// list is where conditions of one sort stand, in matches and in rules.
type list struct {
	of     func(*model.Match) *[]model.NamedMatch
	ofRule func(*model.Rule) *[]model.NamedMatch // nil: rules have none
}

var (
	headerList = list{func(m *model.Match) *[]model.NamedMatch { return &m.Headers }, func(r *model.Rule) *[]model.NamedMatch { return &r.Headers }}
	hostList   = list{of: headerList.of}
	queryList  = list{of: func(m *model.Match) *[]model.NamedMatch { return &m.Query }}
	cookieList = list{of: func(m *model.Match) *[]model.NamedMatch { return &m.Cookies }}
	claimList  = list{func(m *model.Match) *[]model.NamedMatch { return &m.Claims }, func(r *model.Rule) *[]model.NamedMatch { return &r.Claims }}
)

// named is a coordinate of named values. lists are what requests may have there.
func named(name string, in list, pool []model.NamedMatch, lists [][]string, set func(*asking, []string)) *axis {
	about := func(all []model.NamedMatch) []model.NamedMatch {
		return slices.DeleteFunc(slices.Clone(all), func(c model.NamedMatch) bool { return c.Name != name })
	}
	a := &axis{
		name: name,
		draw: func(m *model.Match, rng *rand.Rand) {
			c := pool[rng.IntN(len(pool))]
			c.Name, c.Not = name, rng.IntN(3) == 0
			*in.of(m) = append(*in.of(m), c)
		},
		match: func(m model.Match) model.Match {
			var out model.Match
			*in.of(&out) = about(*in.of(&m))
			return out
		},
	}
	if in.ofRule != nil {
		a.rule = func(r model.Rule) model.Rule {
			out := model.Rule{Any: true}
			*in.ofRule(&out) = about(*in.ofRule(&r))
			return out
		}
	}
	for _, values := range lists {
		a.values = append(a.values, func(q *asking) { set(q, values) })
	}
	return a.ready()
}

// single are requests with one value each.
func single(values []string) [][]string {
	var out [][]string
	for _, v := range values {
		out = append(out, []string{v})
	}
	return out
}

// several are requests with none of the values, and with as many as it takes to
// meet, by any value, each set of conditions of a pool that can be met so.
func several(pool []model.NamedMatch, values []string) [][]string {
	met := func(list []string) string {
		var out strings.Builder
		for _, c := range pool {
			re := regexp.MustCompile(`\A(?:` + pattern(c.Kind, c.Value) + `)\z`)
			if c.Kind == model.Range {
				re = regexp.MustCompile(`\A(?:` + rangePattern(c.Value) + `)\z`)
			}
			fmt.Fprint(&out, slices.ContainsFunc(list, re.MatchString))
		}
		return out.String()
	}
	out, seen := [][]string{nil}, map[string]bool{}
	for todo := [][]string{nil}; len(todo) > 0; todo = todo[1:] {
		for _, v := range values {
			list := append(slices.Clone(todo[0]), v)
			if key := met(list); !seen[key] {
				seen[key] = true
				todo, out = append(todo, list), append(out, list)
			}
		}
	}
	return out
}

// rangePattern is a range of one digit as an expression.
func rangePattern(rng string) string {
	var from, to int
	if _, err := fmt.Sscanf(rng, "[%d,%d)", &from, &to); err != nil || from < 0 || to > 10 {
		panic("not of one digit: " + rng)
	}
	zero := ""
	if from == 0 {
		zero = "|-0+"
	}
	return fmt.Sprintf(`\+?0*[%d-%d]`, from, to-1) + zero
}

func patternsOf(pool []model.NamedMatch) []string {
	var out []string
	for _, c := range pool {
		if c.Kind == model.Range {
			out = append(out, rangePattern(c.Value))
		} else {
			out = append(out, pattern(c.Kind, c.Value))
		}
	}
	return out
}

func addHeaders(name string) func(*asking, []string) {
	return func(q *asking, values []string) {
		for _, v := range values {
			q.req.Headers = append(q.req.Headers, model.Header{Name: name, Value: v})
		}
	}
}

// valuePool are the conditions on values of headers and claims.
var valuePool = []model.NamedMatch{
	{Kind: model.Exact, Value: "a"}, {Kind: model.Prefix, Value: "a"}, {Kind: model.Suffix, Value: "b"}, {Kind: model.Contains, Value: "ab"},
	{Kind: model.Regex, Value: "[ab]+"}, {Kind: model.Regex, Value: "a.?"}, {Kind: model.Present}, {Kind: model.Absent},
}

var headerAxis = sync.OnceValue(func() *axis {
	values := words(letters, "[^ ]*", patternsOf(valuePool))
	return named("x", headerList, valuePool, several(valuePool, values), addHeaders("x"))
})

var numberAxis = sync.OnceValue(func() *axis {
	pool := []model.NamedMatch{{Kind: model.Range, Value: "[1,5)"}, {Kind: model.Range, Value: "[3,9)"}, {Kind: model.Exact, Value: "4"}, {Kind: model.Regex, Value: "[0-9]"}}
	return named("n", headerList, pool, several(pool, words(letters, "[^ ]*", patternsOf(pool))), addHeaders("n"))
})

// onePool are the conditions on keys of queries and on cookies, of which there is
// one value or none.
var onePool = []model.NamedMatch{
	{Kind: model.Exact, Value: "a"}, {Kind: model.Prefix, Value: "a"}, {Kind: model.Suffix, Value: "b"}, {Kind: model.Contains, Value: "b"},
	{Kind: model.Regex, Value: "[ab]*"}, {Kind: model.Regex, Value: "[^b].*"}, {Kind: model.Present}, {Kind: model.Absent},
}

var queryAxis = sync.OnceValue(func() *axis {
	lists := append([][]string{nil}, single(words(letters, ".*", patternsOf(onePool)))...)
	return named("q", queryList, onePool, lists, func(q *asking, values []string) {
		for _, v := range values {
			q.req.Target += "?q=" + v
		}
	})
})

var cookieAxis = sync.OnceValue(func() *axis {
	lists := append([][]string{nil}, single(words(letters, ".*", patternsOf(onePool)))...)
	return named("c", cookieList, onePool, lists, func(q *asking, values []string) {
		for _, v := range values {
			q.req.Headers = append(q.req.Headers, model.Header{Name: "cookie", Value: "c=" + v})
		}
	})
})

var hostAxis = sync.OnceValue(func() *axis {
	pool := []model.NamedMatch{
		{Kind: model.Exact, Value: "a"}, {Kind: model.Exact, Value: "a.b"}, {Kind: model.Suffix, Value: ".b"}, {Kind: model.Prefix, Value: "a"},
		{Kind: model.Contains, Value: "ab"}, {Kind: model.Regex, Value: `[^.]*\.b`},
	}
	hosts := words("abcdz019-_.", `[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?`, patternsOf(pool))
	a := named(model.HostHeader, hostList, pool, single(hosts), func(q *asking, values []string) { q.req.Host = values[0] })
	a.rule = func(r model.Rule) model.Rule { return model.Rule{Any: true, Hosts: r.Hosts, NotHosts: r.NotHosts} }
	return a
})

var schemeAxis = sync.OnceValue(func() *axis {
	pool := []model.NamedMatch{{Kind: model.Exact, Value: "http"}, {Kind: model.Exact, Value: "https"}, {Kind: model.Regex, Value: "https?"}}
	return named(model.SchemeHeader, headerList, pool, [][]string{{"http"}, {"https"}}, func(q *asking, values []string) { q.req.TLS = values[0] == "https" })
})

// claimAxis: no token, one without the claim, and one with it.
var claimAxis = sync.OnceValue(func() *axis {
	lists := several(valuePool, words(letters, ".*", patternsOf(valuePool)))
	name := model.ClaimName("p", "sub")
	a := named(name, claimList, valuePool, lists, func(q *asking, values []string) {
		q.req.Claims = append(q.req.Claims, model.Header{Name: "p"})
		for _, v := range values {
			q.req.Claims = append(q.req.Claims, model.Header{Name: name, Value: v})
		}
	})
	a.values, a.reps = append(a.values, func(*asking) {}), append(a.reps, plainAsking())
	return a
})

// routeAxes are the coordinates that routes of services look at, beside paths and
// ports.
var routeAxes = []func() *axis{methodAxis, headerAxis, numberAxis, queryAxis, cookieAxis, hostAxis, schemeAxis}

// drawDomain has paths and ports, and up to two of others.
func drawDomain(rng *rand.Rand, others []func() *axis) *domain {
	d := &domain{axes: []*axis{pathAxis(), portAxis()}}
	for i, k := range rng.Perm(len(others)) {
		if i < 2 {
			d.axes = append(d.axes, others[k]())
		}
	}
	return d
}

// drawMatch has conditions on coordinates of the domain.
func drawMatch(d *domain, rng *rand.Rand) model.Match {
	var m model.Match
	for _, a := range d.axes {
		for p := 2; a.draw != nil && rng.IntN(p) == 0 && p < 10; p += 3 {
			a.draw(&m, rng)
		}
	}
	if len(m.Paths) == 0 && rng.IntN(3) > 0 {
		pathAxis().draw(&m, rng)
	}
	return m
}

// drawRoutes are routes whose conditions are on the domain.
func drawRoutes(d *domain, n int, rng *rand.Rand) []*model.Route {
	var out []*model.Route
	for i := range n {
		r := &model.Route{Name: fmt.Sprint(i), Ports: []uint16{80, 81}, Origin: at(i + 1)}
		if rng.IntN(4) == 0 {
			r.Ports = []uint16{80}
		}
		for range 1 + rng.IntN(3) {
			r.Match = append(r.Match, drawMatch(d, rng))
		}
		out = append(out, r)
	}
	return out
}
