package check

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// place is a range of its own for every number.
func place(n int) diag.Range {
	return diag.Range{File: "a.cue", Start: diag.NewPos(n+1, 1), End: diag.NewPos(n+1, 2)}
}

// randomMesh has n services, of which each may use those after it, and, with
// back, those before it.
func randomMesh(r *rand.Rand, n int, back bool) *model.Mesh {
	m := &model.Mesh{}
	for i := range n {
		s := &model.Service{Ref: model.Ref{Namespace: "n", Name: fmt.Sprintf("s%02d", i)}, Origin: place(i)}
		for k := range n {
			if (k > i || back && k < i) && r.IntN(3) == 0 {
				s.Uses = append(s.Uses, model.Ref{Namespace: "n", Name: fmt.Sprintf("s%02d", k)})
			}
		}
		s.Versions = []model.Version{{Name: "v1"}}
		route := &model.Route{Name: "all", Timeout: 15 * time.Second, Split: []model.Split{{Version: "v1", BasisPoints: 10000}}}
		if attempts := r.IntN(4); attempts > 0 {
			route.Retry = &model.Retry{Attempts: uint32(attempts), Statuses: []uint32{503}, Origin: place(i)}
		}
		if r.IntN(2) == 0 {
			route.Timeout, route.TimeoutOrigin = time.Duration(1+r.IntN(9))*time.Second, place(i)
		}
		s.Routes = []*model.Route{route}
		m.Services = append(m.Services, s)
	}
	return m
}

// walk calls f with every path of a graph without cycles that begins at v.
func walk(g *callGraph, v int, path []int, f func([]int)) {
	path = append(path, v)
	f(path)
	for _, w := range g.nodes[v].calls {
		walk(g, w, path, f)
	}
}

// The largest products are those that a walk over every path finds, and a
// service is reported exactly where the product first goes beyond the bound.
func TestAmplificationIsTheLargestOfAllPaths(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	reported := 0
	for range 300 {
		m := randomMesh(r, 2+r.IntN(9), false)
		g := newCallGraph(m)
		a := newAmplification(g)
		in, out := make([]int, len(g.nodes)), make([]int, len(g.nodes))
		for v := range g.nodes {
			walk(g, v, nil, func(path []int) {
				product := onceOver
				for _, w := range path {
					product = product / onceOver * a.own[w]
				}
				in[path[len(path)-1]] = max(in[path[len(path)-1]], product)
				out[v] = max(out[v], product)
			})
		}
		if !slices.Equal(in, a.in) || !slices.Equal(out, a.out) {
			t.Fatalf("by all paths %v and %v, computed %v and %v", in, out, a.in, a.out)
		}
		var got, most []string
		for _, d := range Model(m, time.Time{}) {
			if d.Code == diag.RetryAmplification {
				got = append(got, d.Range.String())
			}
		}
		for v := range g.nodes {
			if in[v] > maxAmplification*onceOver && a.own[v] > onceOver {
				most = append(most, place(v).String())
			}
		}
		for _, at := range got {
			if !slices.Contains(most, at) {
				t.Fatalf("%s is reported, and only %v are beyond the bound", at, most)
			}
		}
		if (len(got) > 0) != (len(most) > 0) {
			t.Fatalf("reported %v of %v", got, most)
		}
		reported += len(got)
	}
	if reported == 0 {
		t.Fatal("no mesh went beyond the bound")
	}
}

// A route is reported exactly when some path of calls from it, through services
// that write no limit, ends in a written limit above its own.
func TestTimeoutBudgetsByAllPaths(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	reported := 0
	for range 300 {
		m := randomMesh(r, 2+r.IntN(9), false)
		g := newCallGraph(m)
		want := map[string]bool{}
		for v := range g.nodes {
			limit := m.Services[v].Routes[0]
			walk(g, v, nil, func(path []int) {
				for _, w := range path[min(1, len(path)):max(1, len(path)-1)] {
					if !m.Services[w].Routes[0].TimeoutOrigin.IsZero() {
						return
					}
				}
				end := m.Services[path[len(path)-1]].Routes[0]
				if len(path) > 1 && !limit.TimeoutOrigin.IsZero() && !end.TimeoutOrigin.IsZero() && end.Timeout > limit.Timeout {
					want[limit.TimeoutOrigin.String()] = true
				}
			})
		}
		got := map[string]bool{}
		for _, d := range Model(m, time.Time{}) {
			if d.Code == diag.TimeoutBudget {
				got[d.Range.String()] = true
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("reported %v, by all paths %v", got, want)
		}
		reported += len(got)
	}
	if reported == 0 {
		t.Fatal("no mesh was over a budget")
	}
}

// Every cycle with retries is reported once, with a lap that the graph has.
func TestCyclesWithRetries(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		m := randomMesh(r, 2+r.IntN(9), true)
		g := newCallGraph(m)
		want := 0
		for _, members := range g.cycles {
			if newAmplification(g).multiplies(g.nodes[members[0]].cycle) {
				want++
			}
			for _, v := range members {
				lap := g.lap(v)
				if len(lap) < 3 || lap[0] != v || lap[len(lap)-1] != v {
					t.Fatalf("lap of %d: %v", v, lap)
				}
				for i := range lap[1:] {
					if !slices.Contains(g.nodes[lap[i]].calls, lap[i+1]) {
						t.Fatalf("lap %v: no call from %d to %d", lap, lap[i], lap[i+1])
					}
				}
			}
		}
		for a := range g.nodes {
			for b := range g.nodes {
				if both := reaches(g, a, b) && reaches(g, b, a); a != b && both != g.sameCycle(a, b) {
					t.Fatalf("%d and %d reach each other: %v", a, b, both)
				}
			}
		}
		got := 0
		for _, d := range Model(m, time.Time{}) {
			if d.Code == diag.RetryCycle {
				got++
			}
		}
		if got != want {
			t.Fatalf("%d cycles reported of %d", got, want)
		}
	}
}

func reaches(g *callGraph, from, to int) bool {
	seen, queue := map[int]bool{}, []int{from}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		for _, w := range g.nodes[v].calls {
			if w == to {
				return true
			}
			if !seen[w] {
				seen[w] = true
				queue = append(queue, w)
			}
		}
	}
	return false
}

// layered is a mesh of n services in layers, each of which uses five of the
// next, with retries and limits.
func layered(n, layers int) *model.Mesh {
	m := &model.Mesh{}
	name := func(i int) model.Ref { return model.Ref{Namespace: "n", Name: fmt.Sprintf("s%06d", i)} }
	for i := range n {
		s := &model.Service{Ref: name(i), Versions: []model.Version{{Name: "v1"}}}
		if i%layers < layers-1 {
			for k := range 5 {
				if to := (i/layers*layers + i%layers + 1 + k*layers*7) % n; to%layers == i%layers+1 {
					s.Uses = append(s.Uses, name(to))
				}
			}
		}
		s.Routes = []*model.Route{{
			Name: "all", Timeout: 5 * time.Second, TimeoutOrigin: place(i), Split: []model.Split{{Version: "v1", BasisPoints: 10000}},
			Retry: &model.Retry{Attempts: 1, Statuses: []uint32{503}, Origin: place(i)},
		}}
		m.Services = append(m.Services, s)
	}
	return m
}

// BenchmarkCallGraph judges meshes of a hundred, a thousand and ten thousand
// services, the first of a depth of a hundred.
func BenchmarkCallGraph(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		for _, layers := range []int{5, 100} {
			m := layered(n, layers)
			b.Run(fmt.Sprintf("services=%d/depth=%d", n, layers), func(b *testing.B) {
				for b.Loop() {
					c := &overModel{mesh: m}
					c.retryAmplification()
					c.timeoutBudgets()
				}
			})
		}
	}
}
