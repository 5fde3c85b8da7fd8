package check_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// originPool are the conditions on the origins of pages: those of policies, of
// which the last one is in none.
var originPool = []model.NamedMatch{
	{Kind: model.Exact, Value: "https://a"}, {Kind: model.Exact, Value: "https://b.a"}, {Kind: model.Prefix, Value: "https://b"},
	{Kind: model.Suffix, Value: ".a"}, {Kind: model.Regex, Value: "https?://[ab]"}, {Kind: model.Exact, Value: "https://c"},
}

// oneLine is a header that has one value, whatever lines it stands on
// (reach.Joined), or none.
func oneLine(name string, pool []model.NamedMatch) func() *axis {
	return sync.OnceValue(func() *axis {
		lists := append([][]string{nil}, single(words(letters+"htps", "[^ ]*", patternsOf(pool)))...)
		return named(name, headerList, pool, lists, addHeaders(name))
	})
}

var (
	originAxis = oneLine("origin", originPool)
	acceptAxis = oneLine("accept", []model.NamedMatch{{Kind: model.Exact, Value: "a"}, {Kind: model.Contains, Value: "b"}, {Kind: model.Regex, Value: "[ac]+"}})

	ownAxis = sync.OnceValue(func() *axis { // may stand there several times
		pool := []model.NamedMatch{{Kind: model.Present}, {Kind: model.Exact, Value: "a"}, {Kind: model.Regex, Value: "a?b"}}
		return named("x", headerList, pool, several(pool, words(letters, "[^ ]*", patternsOf(pool))), addHeaders("x"))
	})

	// pageAxes are what routes look at beside paths, ports, methods and origins.
	pageAxes = []func() *axis{acceptAxis, ownAxis, cookieAxis, queryAxis, hostAxis}
)

// drawPages is drawDomain of requests from pages.
func drawPages(rng *rand.Rand) *domain {
	d := drawDomain(rng, pageAxes)
	d.axes = append(d.axes, methodAxis(), originAxis())
	for d.size() > 100_000 {
		d.axes = slices.Delete(d.axes, 2, 3)
	}
	return d
}

func drawCORS(d *domain, n int, rng *rand.Rand) []*model.Route {
	out := drawRoutes(d, n, rng)
	for i, r := range out {
		if rng.IntN(2) == 0 {
			continue
		}
		first := rng.IntN(len(originPool) - 1)
		r.CORS = &model.CORS{Methods: []string{[]string{"PUT", "DELETE"}[rng.IntN(2)]}, Origin: at(1000 + i)}
		r.CORS.Origins = slices.Clone(originPool[first:min(first+1+rng.IntN(2), len(originPool)-1)])
	}
	return out
}

// TestOverlapOfPreflights: a policy is reported exactly when some URL of its
// route's requests has a preflight that no route with that policy takes, however
// the browser asks.
func TestOverlapOfPreflights(t *testing.T) {
	kinds := newDrawn()
	y := newTally(t)
	sizes(t, 96, func(size int, rng *rand.Rand) {
		d := drawPages(rng)
		s := &model.Service{Ref: model.Ref{Name: "a"}, Host: "a", Ports: []model.Port{{Number: 80}, {Number: 81}}, Routes: drawCORS(d, size, rng)}
		kinds.routes(s.Routes)
		kinds.end(d.size())
		y.look(&model.Mesh{Services: []*model.Service{s}}, diag.PreflightElsewhere)
		y.is(diag.PreflightElsewhere, brutePreflights(d, s), s.Routes)
	})
	y.end(diag.PreflightElsewhere)
	kinds.enough(t, pathKinds+valueKinds+"method header query cookie host port")
}

func brutePreflights(d *domain, s *model.Service) []int32 {
	takes := make([][]bool, len(s.Routes))
	for i, r := range s.Routes {
		takes[i] = d.takes(r)
	}
	taken := first(takes, d.size())
	type asked struct{ url, origin int }
	url := func(i int) int { // what a preflight has in common with its request
		n := 0
		for _, a := range d.axes {
			if slices.Contains([]string{"path", "port", "q", model.HostHeader}, a.name) {
				n = n*len(a.values) + d.digit(i, a.name)
			}
		}
		return n
	}
	policy := func(c *model.CORS) string { return fmt.Sprint(c.Methods, c.Origins) }
	sent := d.where(func(a *axis, q asking) bool {
		switch a.name {
		case "method":
			return q.req.Method == "OPTIONS"
		case "origin":
			return len(q.req.Header("origin")) == 1
		}
		_, cookie := q.req.Cookie("c")
		return !cookie && len(q.req.Header("x")) == 0
	})
	urls := make([]map[int]bool, len(s.Routes))
	answered := map[string]map[asked]bool{}
	for k, i := range taken {
		if i == len(s.Routes) || s.Routes[i].CORS == nil {
			continue
		}
		if urls[i] == nil {
			urls[i] = map[int]bool{}
		}
		u := url(k)
		urls[i][u] = true
		if sent[k] {
			p := policy(s.Routes[i].CORS)
			if answered[p] == nil {
				answered[p] = map[asked]bool{}
			}
			answered[p][asked{u, d.digit(k, "origin")}] = true
		}
	}
	var out []int32
	for i, r := range s.Routes {
		if r.CORS == nil {
			continue
		}
		lost := false
		for from, q := range originAxis().reps {
			values := q.req.Header("origin")
			if len(values) == 0 || !slices.ContainsFunc(r.CORS.Origins, func(o model.NamedMatch) bool { return reach.AcceptsValue(o, values[0], true) }) {
				continue
			}
			for u := range urls[i] {
				lost = lost || !answered[policy(r.CORS)][asked{u, from}]
			}
		}
		if lost {
			out = append(out, r.CORS.Origin.Start.Line)
		}
	}
	return out
}

// TestOverlapOfOrigins: what is reported changes nothing when it is taken away,
// and nothing else is like that.
func TestOverlapOfOrigins(t *testing.T) {
	kinds := newDrawn()
	y := newTally(t)
	sizes(t, 97, func(size int, rng *rand.Rand) {
		pick := func(list ...string) string { return list[rng.IntN(len(list))] }
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
		origins := words("abcxhttp/.:-", "[^ ]+", patternsOf(p.Origins))
		kinds.named("origin", p.Origins)
		kinds.end(len(origins))
		y.is(diag.OriginCovered, slices.Repeat([]int32{7}, bruteOrigins(p, origins)), p.Origins)
	})
	y.end(diag.OriginCovered)
	t.Logf("%d lists of origins, judged on %d origins, over %v", kinds.sets, kinds.points, kinds.conditions)
}

// bruteOrigins counts the entries that, from the last one on, others contain.
func bruteOrigins(p *model.CORS, origins []string) int {
	takes := func(o model.NamedMatch, v string) bool { return reach.AcceptsValue(o, v, true) }
	var list []model.NamedMatch
	for _, o := range p.Origins {
		if !slices.Contains(list, o) { // what is there twice is said elsewhere
			list = append(list, o)
		}
	}
	taken := make([][]bool, len(list))
	times := make([]int, len(origins)) // by how many of those that are kept
	for i, o := range list {
		taken[i] = make([]bool, len(origins))
		for k, v := range origins {
			if taken[i][k] = takes(o, v); taken[i][k] {
				times[k]++
			}
		}
	}
	covered := 0
	for i := range slices.Backward(list) {
		needed := false
		for k, t := range taken[i] {
			needed = needed || t && times[k] == 1
		}
		if needed {
			continue
		}
		covered++
		for k, t := range taken[i] {
			if t {
				times[k]--
			}
		}
	}
	return covered
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
