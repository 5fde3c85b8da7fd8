package check_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// origins of pages, the last of which no policy names.
var origins = []string{"https://a", "https://b", "https://c"}

// everyCORS is all that the conditions of randomCORS can tell apart.
var everyCORS = func() []*answer.Request {
	var out []*answer.Request
	subsets := func(name string, values ...string) [][]model.Header {
		var sets [][]model.Header
		for subset := range 1 << len(values) {
			var set []model.Header
			for i, v := range values {
				if subset>>i&1 == 1 {
					set = append(set, model.Header{Name: name, Value: v})
				}
			}
			sets = append(sets, set)
		}
		return sets
	}
	var fields [][]model.Header
	for _, own := range [][]model.Header{nil, {{Name: "x", Value: "1"}}} {
		for _, cookie := range [][]model.Header{nil, {{Name: "cookie", Value: "c=1"}}} {
			for _, origin := range subsets("origin", origins...) {
				for _, accept := range subsets("accept", "u", "v") {
					fields = append(fields, slices.Concat(own, cookie, origin, accept, []model.Header{{Name: "access-control-request-method", Value: "GET"}}))
				}
			}
		}
	}
	for _, target := range []string{"/", "/a", "/b", "/ab", "/c"} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			for _, f := range fields {
				for _, port := range []uint16{80, 81} {
					out = append(out, &answer.Request{Method: method, Target: target, Headers: f, Port: port, Host: "a"})
				}
			}
		}
	}
	return out
}()

func randomCORS(n int, rng *rand.Rand) []*model.Route {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	some := func(of int) bool { return rng.IntN(of) == 0 }
	var out []*model.Route
	for i := range n {
		r := &model.Route{Name: fmt.Sprint(i), Ports: []uint16{80, 81}, Origin: at(i + 1)}
		if some(4) {
			r.Ports = []uint16{80}
		}
		for range 1 + rng.IntN(2) {
			var m model.Match
			if !some(4) {
				m.Paths = []model.PathMatch{{Kind: []model.MatchKind{model.Exact, model.Prefix}[rng.IntN(2)], Value: pick("/", "/a", "/b", "/ab")}}
			}
			if some(3) {
				m.Methods = []string{pick("GET", "POST", "OPTIONS")}
			}
			if some(4) {
				m.Headers = append(m.Headers, model.NamedMatch{Name: "x", Kind: model.Present, Not: some(2)})
			}
			if some(4) {
				m.Headers = append(m.Headers, model.NamedMatch{Name: "origin", Kind: model.Exact, Value: pick(origins...), Not: some(2)})
			}
			if some(5) {
				m.Headers = append(m.Headers, model.NamedMatch{Name: "accept", Kind: model.Exact, Value: "u", Not: some(2)})
			}
			if some(5) {
				m.Cookies = []model.NamedMatch{{Name: "c", Kind: model.Exact, Value: "1", Not: some(2)}}
			}
			r.Match = append(r.Match, m)
		}
		if some(2) {
			r.CORS = &model.CORS{Methods: []string{pick("PUT", "DELETE")}, Origin: at(1000 + i)}
			for _, o := range origins[:1+rng.IntN(2)] {
				r.CORS.Origins = append(r.CORS.Origins, model.NamedMatch{Kind: model.Exact, Value: o})
			}
		}
		out = append(out, r)
	}
	return out
}

// TestOverlapOfPreflights: a policy is reported exactly when some URL of its
// route's requests has a preflight that no route with that policy takes, however
// the browser asks.
func TestOverlapOfPreflights(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 96))
	y := newTally(t)
	sizes(func(size int) {
		s := &model.Service{Ref: model.Ref{Name: "a"}, Host: "a", Ports: []model.Port{{Number: 80}, {Number: 81}}, Routes: randomCORS(size, rng)}
		y.look(&model.Mesh{Services: []*model.Service{s}}, diag.PreflightElsewhere)
		y.is(diag.PreflightElsewhere, brutePreflights(s), s.Routes)
	})
	y.end(diag.PreflightElsewhere)
}

// url is what a preflight has in common with its request.
func url(q *answer.Request) string { return fmt.Sprint(q.Target, " ", q.Port) }

// preflight says that q is one, and gives the page's origin.
func preflight(q *answer.Request) (origin string, ok bool) {
	from := q.Header("origin")
	_, cookie := q.Cookie("c")
	if q.Method != "OPTIONS" || len(from) != 1 || cookie || len(q.Header("x")) > 0 {
		return "", false
	}
	return from[0], true
}

func brutePreflights(s *model.Service) []int32 {
	urls := make([]map[string]bool, len(s.Routes))
	answered := map[string]map[string]bool{} // by policy: URLs and origins
	policy := func(c *model.CORS) string { return fmt.Sprint(c.Methods, len(c.Origins)) }
	for _, q := range everyCORS {
		i := slices.IndexFunc(s.Routes, func(r *model.Route) bool { return answer.Takes(r, q.Port, q) })
		if i < 0 {
			continue
		}
		if urls[i] == nil {
			urls[i] = map[string]bool{}
		}
		urls[i][url(q)] = true
		if from, ok := preflight(q); ok && s.Routes[i].CORS != nil {
			p := policy(s.Routes[i].CORS)
			if answered[p] == nil {
				answered[p] = map[string]bool{}
			}
			answered[p][url(q)+from] = true
		}
	}
	var out []int32
	for i, r := range s.Routes {
		lost := false
		for u := range urls[i] {
			for k := 0; r.CORS != nil && k < len(r.CORS.Origins); k++ {
				lost = lost || !answered[policy(r.CORS)][u+origins[k]]
			}
		}
		if lost {
			out = append(out, r.CORS.Origin.Start.Line)
		}
	}
	return out
}

// everyOrigin is all that the entries of randomOrigins can tell apart.
var everyOrigin = func() []string {
	out := []string{"*", "null"}
	for last, n := []string{""}, 0; n < 5; n++ {
		var next []string
		for _, v := range last {
			next = append(next, v+"a", v+"b", v+"c", v+".")
		}
		for _, v := range next {
			out = append(out, "h://"+v, v)
		}
		last = next
	}
	return out
}()

// TestOverlapOfOrigins: what is reported changes nothing when it is taken away,
// and nothing else is like that.
func TestOverlapOfOrigins(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 97))
	y := newTally(t)
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	sizes(func(size int) {
		p := &model.CORS{Origin: at(7)}
		for range size {
			word := pick("", "a", "b", "c") + pick("", "a", "b", ".")
			o := model.NamedMatch{Kind: model.Exact, Value: "h://" + word + pick("a", "b")}
			switch rng.IntN(4) {
			case 0:
				o = model.NamedMatch{Kind: model.Prefix, Value: "h://" + word}
			case 1:
				o = model.NamedMatch{Kind: model.Suffix, Value: pick("a", "b", "c", ".") + word}
			case 2:
				o = model.NamedMatch{Kind: model.Regex, Value: "h://" + pick("[ab]*", "(a|b)", "a[.]?b", "[abc]b", "a[ab]*") + word}
			}
			p.Origins = append(p.Origins, o)
		}
		s := &model.Service{Ref: model.Ref{Name: "a"}, Host: "a", Ports: []model.Port{{Number: 80}}, Routes: []*model.Route{{Name: "all", Ports: []uint16{80}, CORS: p, Origin: at(1)}}}
		y.look(&model.Mesh{Services: []*model.Service{s}}, diag.OriginCovered)
		y.is(diag.OriginCovered, slices.Repeat([]int32{7}, bruteOrigins(p)), p.Origins)
	})
	y.end(diag.OriginCovered)
}

// bruteOrigins counts the entries that, from the last one on, others contain.
func bruteOrigins(p *model.CORS) int {
	takes := func(o model.NamedMatch, v string) bool { return reach.AcceptsValue(o, v, true) }
	kept := slices.Clone(p.Origins)
	for i, o := range slices.Backward(p.Origins) {
		needed := slices.ContainsFunc(everyOrigin, func(v string) bool {
			return takes(o, v) && !slices.ContainsFunc(slices.Delete(slices.Clone(kept), i, i+1), func(other model.NamedMatch) bool { return takes(other, v) })
		})
		if !needed {
			kept = slices.Delete(kept, i, i+1)
		}
	}
	return len(p.Origins) - len(kept)
}

// TestPreflightSaysWhatTakesIt: the witness is a preflight.
func TestPreflightSaysWhatTakesIt(t *testing.T) {
	y := newTally(t)
	cors := &model.CORS{Origins: []model.NamedMatch{{Kind: model.Exact, Value: "https://shop.test"}}, Origin: at(9)}
	s := &model.Service{Ref: model.Ref{Name: "a"}, Host: "a", Ports: []model.Port{{Number: 80}}, Routes: []*model.Route{
		{Name: "beta", Ports: []uint16{80}, Match: []model.Match{{Headers: []model.NamedMatch{{Name: "x-beta", Kind: model.Present}}}}, CORS: cors, Origin: at(1)},
		{Name: "rest", Ports: []uint16{80}, Origin: at(2)},
	}}
	m := &model.Mesh{Services: []*model.Service{s}}
	y.look(m, diag.PreflightElsewhere)
	y.is(diag.PreflightElsewhere, []int32{9}, s)
	if found := checkOne(m, diag.PreflightElsewhere); !strings.HasPrefix(found.Witness, "OPTIONS http://a:80/ with ") || !strings.Contains(found.Witness, "origin: https://shop.test") || len(found.Related) != 1 {
		t.Errorf("%+v", found)
	}
	s.Routes[1].CORS = &model.CORS{Origins: cors.Origins}
	y.look(m)
	y.is(diag.PreflightElsewhere, nil, s)
}
