package reach_test

import (
	"testing"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

func named(name string, kind model.MatchKind, value string, not bool) []model.NamedMatch {
	return []model.NamedMatch{{Name: name, Kind: kind, Value: value, Not: not}}
}

// TestOfMatchMeansWhatAnswerSays holds the predicates of what a match can say to
// the evaluation of single requests.
func TestOfMatchMeansWhatAnswerSays(t *testing.T) {
	matches := []model.Match{
		{Paths: []model.PathMatch{{Kind: model.Exact, Value: "/aB", IgnoreCase: true}}},
		{Paths: []model.PathMatch{{Kind: model.Prefix, Value: "/Ab", IgnoreCase: true, Not: true}}},
		{Paths: []model.PathMatch{{Kind: model.SegmentPrefix, Value: "/ab", IgnoreCase: true}, {Kind: model.Regex, Value: ".*c", Not: true}}},
		{NotMethods: []string{"GET", "PUT"}},
		{Headers: named("x", model.Range, "[-5,10)", false)},
		{Headers: named("x", model.Range, "[-5,10)", true)},
		{Headers: named(model.HostHeader, model.Suffix, ".test", true)},
		{Headers: named(model.HostHeader, model.Regex, "(?i:A.*)", false)},
		{Headers: named(model.SchemeHeader, model.Exact, "https", true)},
		{Query: named("q", model.Prefix, "1", true)},
		{Cookies: named("c", model.Exact, "1", true)},
	}
	for _, m := range matches {
		space, err := reach.New(reach.DefaultLimits, reach.OfMatch(m))
		if err != nil {
			t.Fatal(err)
		}
		set, err := space.Set(reach.OfMatch(m))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range requests() {
			asked := &answer.Request{Method: r.Method, Host: r.Host, Target: r.Target(), Headers: r.Fields()}
			got, ok := space.Holds(set, r)
			if want := answer.Accepts(&m, asked); !ok || got != want {
				t.Errorf("%v on %s: %v (%v), want %v", m, r, got, ok, want)
			}
		}
	}
}

func requests() []*reach.Request {
	var out []*reach.Request
	for i := range 5 * 4 * 4 * 4 * 3 {
		pick := func(list ...string) string {
			v := list[i%len(list)]
			i /= len(list)
			return v
		}
		r := &reach.Request{Scheme: "http", Path: pick("/", "/AB", "/ab/c", "/abc", "/Ab/"), Method: pick("GET", "PUT", "POST", "PURGE"), Host: pick("a.test", "test", "b.test", "axtest")}
		if v := pick("", "9", "10", "-5"); v != "" {
			r.Headers = append(r.Headers, model.Header{Name: "x", Value: v})
		}
		if v := pick("", "1", "21"); v != "" {
			r.Query = append(r.Query, model.Header{Name: "q", Value: v})
			r.Cookies = append(r.Cookies, model.Header{Name: "c", Value: v})
		}
		out = append(out, r)
	}
	return out
}
