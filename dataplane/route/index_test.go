package route

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/dataplane/message"
)

// oraclePath is what a match says of paths, told otherwise than by pathRule.
func oraclePath(t testing.TB, m *routev3.RouteMatch) func(string) bool {
	fold := m.GetCaseSensitive() != nil && !m.GetCaseSensitive().GetValue()
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		return prefixMatch(p.Prefix, fold)
	case *routev3.RouteMatch_Path:
		return exactMatch(p.Path, fold)
	case *routev3.RouteMatch_PathSeparatedPrefix:
		exact, below := exactMatch(p.PathSeparatedPrefix, fold), prefixMatch(p.PathSeparatedPrefix+"/", fold)
		return func(s string) bool { return exact(s) || below(s) }
	case *routev3.RouteMatch_SafeRegex:
		re, err := regexMatch(p.SafeRegex.GetRegex())
		if err != nil {
			t.Fatal(err)
		}
		return re
	}
	t.Fatalf("%v", m)
	return nil
}

// linear gives the name of the first route that takes a request, by trying all;
// "" is none.
func linear(t testing.TB, routes []*routev3.Route) func(*message.Request, uint64) string {
	type judges struct {
		path   func(string) bool
		others func(*message.Request, uint64) bool
	}
	var all []judges
	for _, r := range routes {
		_, others, err := compileMatch(r.GetMatch())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, judges{oraclePath(t, r.GetMatch()), others})
	}
	return func(req *message.Request, random uint64) string {
		path := req.Target
		if i := strings.IndexAny(path, "?#"); i >= 0 {
			path = path[:i]
		}
		for i, j := range all {
			if j.path(path) && (j.others == nil || j.others(req, random)) {
				return routes[i].GetName()
			}
		}
		return ""
	}
}

// pieces make paths that have one another for prefixes, in and against their case.
var pieces = []string{"/", "a", "A", "b", "/a", "/B", "//", "é", "ab", "%2f", "[", "@", "{", "`", "Z", "z"}

type dice struct{ *rand.Rand }

func (d dice) path(most int) string {
	text := "/"
	for range d.IntN(most) {
		text += pieces[d.IntN(len(pieces))]
	}
	return text
}

func (d dice) match() *routev3.RouteMatch {
	m := &routev3.RouteMatch{}
	switch d.IntN(12) {
	case 0:
		m.PathSpecifier = &routev3.RouteMatch_Prefix{}
	case 1:
		m.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: []string{"/a.*", "/.", ".*b", "/(a|/)*", "(?i)/AB.*"}[d.IntN(5)]}}
	case 2, 3, 4:
		m.PathSpecifier = &routev3.RouteMatch_Path{Path: d.path(7)}
	case 5, 6, 7:
		m.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: d.path(7)}
	case 8: // long chains of prefixes
		m.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: strings.Repeat("/a", 15)[:1+d.IntN(30)]}
	default:
		m.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: d.path(7)}
	}
	if d.IntN(3) == 0 {
		m.CaseSensitive = wrapperspb.Bool(d.IntN(3) == 0)
	}
	value := &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "1"}}
	switch d.IntN(8) {
	case 0, 1:
		m.Headers = []*routev3.HeaderMatcher{{Name: "x", InvertMatch: d.IntN(2) == 0, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: value}}}
	case 2:
		m.QueryParameters = []*routev3.QueryParameterMatcher{{Name: "q", QueryParameterMatchSpecifier: &routev3.QueryParameterMatcher_StringMatch{StringMatch: value}}}
	case 3:
		m.Cookies = []*routev3.CookieMatcher{{Name: "c", StringMatch: value}}
	case 4:
		m.RuntimeFraction = fraction(uint32(d.IntN(101)))
	}
	return m
}

func (d dice) request() *message.Request {
	target := d.path(9)
	switch d.IntN(8) {
	case 0:
		target = strings.Repeat("/a", 20)[:1+d.IntN(40)]
	case 1:
		target = []string{"*", "", "?", "#a?b", "a"}[d.IntN(5)]
	}
	req := request("GET", target+[]string{"", "?q=1", "#x", "?q=2"}[d.IntN(4)])
	if d.IntN(2) == 0 {
		req.Fields = append(req.Fields, message.Field{Name: "x", Value: fmt.Sprint(d.IntN(2))})
	}
	if d.IntN(2) == 0 {
		req.Fields = append(req.Fields, message.Field{Name: "cookie", Value: fmt.Sprint("c=", d.IntN(2))})
	}
	return req
}

// TestIndexTakesTheFirst: whatever the tables, the route is the one that is found
// by trying all in their order.
func TestIndexTakesTheFirst(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(1, 2))}
	indexed, taken, rounds := 0, 0, 400
	for range rounds {
		routes := make([]*routev3.Route, 1+d.IntN(120))
		for i := range routes {
			routes[i] = &routev3.Route{Name: fmt.Sprint(i), Match: d.match(), Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "c"}}}}
		}
		table, err := Compile(&routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{{Name: "v", Domains: []string{"*"}, Routes: routes}}}, named)
		if err != nil {
			t.Fatal(err)
		}
		if table.VirtualHosts[0].paths != nil {
			indexed++
		}
		want := linear(t, routes)
		for range 100 {
			req, random, got := d.request(), d.Uint64(), ""
			if e := table.Route(req, random); e != nil {
				got = e.Name
				taken++
			}
			if w := want(req, random); got != w {
				t.Fatalf("%q %v: route %q, want %q of\n%v", req.Target, req.Fields, got, w, routes)
			}
		}
	}
	if indexed < rounds/2 || taken < rounds*100/3 {
		t.Errorf("of %d tables %d have an index, and %d requests a route: nothing is shown", rounds, indexed, taken)
	}
}

func fraction(percent uint32) *corev3.RuntimeFractionalPercent {
	return &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{Numerator: percent}}
}

// FuzzIndex holds tables of a few texts to the linear search.
func FuzzIndex(f *testing.F) {
	f.Add("p/a\ne/a\ns/a\nP/A\nE/A\nS/A\np/\ne/\ns/ab", "/a/b")
	f.Add("p/\np/a\np/aa\np/aaa\np/aaaa\np/aaaaa\np/aaaaaa\np/aaaaaaa\np/aaaaaaaa\np/aaaaaaaaa", "/aaaaaaaaaaa")
	f.Add("p\xff\xffa\ne\xc3\x89\nS/\x00", "\xff\xff")
	f.Fuzz(func(t *testing.T, table, target string) {
		var routes []*routev3.Route
		for text := range strings.SplitSeq(table, "\n") {
			if text == "" {
				continue
			}
			m := &routev3.RouteMatch{CaseSensitive: wrapperspb.Bool(text[0] >= 'a')}
			switch lowerByte(text[0]) {
			case 'e':
				m.PathSpecifier = &routev3.RouteMatch_Path{Path: text[1:]}
			case 's':
				m.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: text[1:]}
			default:
				m.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: text[1:]}
			}
			if len(routes)%3 == 1 {
				m.RuntimeFraction = fraction(50)
			}
			routes = append(routes, &routev3.Route{Name: fmt.Sprint(len(routes)), Match: m})
		}
		host := &VirtualHost{Domains: []string{"*"}}
		for _, r := range routes {
			path, others, err := compileMatch(r.GetMatch())
			if err != nil {
				t.Fatal(err)
			}
			host.Routes = append(host.Routes, &Route{Entry: &Entry{Name: r.GetName()}, Matches: others, path: path})
		}
		indexed, err := NewTable("t", []*VirtualHost{host})
		if err != nil {
			t.Fatal(err)
		}
		want := linear(t, routes)
		for _, random := range []uint64{0, 99} {
			got := ""
			if e := indexed.RouteAgain(&message.Request{Target: target}, random); e != nil {
				got = e.Name
			}
			if w := want(&message.Request{Target: target}, random); got != w {
				t.Fatalf("%q: route %q, want %q", target, got, w)
			}
		}
	})
}

// tableOf has n routes like those of a service each, and one for the rest.
func tableOf(b testing.TB, n int, match string) *Table {
	var matches []string
	for i := range n - 1 {
		matches = append(matches, fmt.Sprintf(match, i))
	}
	return compileMatches(b, append(matches, `{"prefix": "/"}`)...)
}

func TestIndexDoesNotAllocate(t *testing.T) {
	for _, match := range []string{`{"prefix": "/r/%d/"}`, `{"path": "/R/%d/x", "case_sensitive": false}`, `{"path_separated_prefix": "/r/%d"}`} {
		table := tableOf(t, 1000, match)
		req := request("GET", "/r/998/x?q=1")
		if e := table.Route(req, 1); e == nil || e.Name != "998" {
			t.Fatalf("%s: %v", match, e)
		}
		if n := testing.AllocsPerRun(1000, func() { table.Route(req, 1) }); n != 0 {
			t.Errorf("%s: %v allocations per request", match, n)
		}
	}
}

func BenchmarkTable(b *testing.B) {
	for _, kind := range []struct{ name, match string }{
		{"prefix", `{"prefix": "/r/%d/"}`}, {"exact", `{"path": "/r/%d/x"}`}, {"segment", `{"path_separated_prefix": "/r/%d"}`},
		{"fold", `{"prefix": "/R/%d/", "case_sensitive": false}`},
		{"header", `{"prefix": "/r/", "headers": [{"name": "x", "string_match": {"exact": "%d"}}]}`},
		{"regex", `{"safe_regex": {"regex": "/r/%d/.*"}}`},
	} {
		for _, n := range []int{1, 10, 100, 1000, 5000} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				table := tableOf(b, n, kind.match)
				var reqs []*message.Request // that no branch predictor knows by heart
				for range 4096 {
					i := rand.IntN(n)
					reqs = append(reqs, request("GET", fmt.Sprintf("/r/%d/x", i), "x", fmt.Sprint(i)))
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					table.Route(reqs[i%len(reqs)], 1)
				}
			})
		}
	}
}
