package behave_test

import (
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// refactorings change how a mesh is written, and no behaviour.
var refactorings = map[string]func(*rand.Rand, *model.Mesh){
	"names of routes": func(_ *rand.Rand, m *model.Mesh) {
		eachRoute(m, func(r *model.Route) { r.Name += "-2" })
	},
	"owners and logs": func(_ *rand.Rand, m *model.Mesh) {
		for _, s := range m.Services {
			s.Owner, s.AccessLog = s.Owner+"2", model.AccessLog{Off: true}
		}
	},
	"files": func(_ *rand.Rand, m *model.Mesh) {
		for _, s := range m.Services {
			s.Origin.File = "elsewhere.cue"
		}
		eachRoute(m, func(r *model.Route) { r.Origin.File, r.Origin.Start.Line = "elsewhere.cue", 7 })
	},
	"prefixes as expressions": func(_ *rand.Rand, m *model.Mesh) {
		eachMatch(m, func(x *model.Match) {
			for i, p := range x.Paths {
				if p.Kind == model.Prefix && !p.IgnoreCase {
					x.Paths[i] = model.PathMatch{Kind: model.Regex, Value: regexp.QuoteMeta(p.Value) + ".*", Not: p.Not}
				}
			}
		})
	},
	"exact headers as expressions": func(_ *rand.Rand, m *model.Mesh) {
		eachMatch(m, func(x *model.Match) {
			for i, h := range x.Headers {
				if h.Kind == model.Exact {
					x.Headers[i].Kind, x.Headers[i].Value = model.Regex, regexp.QuoteMeta(h.Value)
				}
			}
		})
	},
	"order of alternatives": func(rng *rand.Rand, m *model.Mesh) {
		eachRoute(m, func(r *model.Route) { shuffle(rng, r.Match) })
	},
	"an alternative twice": func(_ *rand.Rand, m *model.Mesh) {
		eachRoute(m, func(r *model.Route) {
			if len(r.Match) > 0 {
				r.Match = append(r.Match, r.Match[0])
			}
		})
	},
	"order of rules": func(rng *rand.Rand, m *model.Mesh) {
		for _, s := range m.Services {
			shuffle(rng, s.Allow)
			shuffle(rng, s.Deny)
		}
		for _, g := range m.Gateways {
			shuffle(rng, g.Allow)
			shuffle(rng, g.Deny)
		}
	},
	"rules split by method": func(_ *rand.Rand, m *model.Mesh) {
		for _, s := range m.Services {
			var out []model.Rule
			for _, r := range s.Allow {
				if len(r.Methods) < 2 {
					out = append(out, r)
					continue
				}
				for _, method := range r.Methods {
					one := r
					one.Methods = []string{method}
					out = append(out, one)
				}
			}
			s.Allow = out
		}
	},
	"routes split by alternative": func(_ *rand.Rand, m *model.Mesh) {
		for _, s := range m.Services {
			var out []*model.Route
			for _, r := range s.Routes {
				for i := range r.Match {
					one := *r
					one.Match = r.Match[i : i+1]
					out = append(out, &one)
				}
				if len(r.Match) == 0 {
					out = append(out, r)
				}
			}
			s.Routes = out
		}
	},
	"disjoint neighbours change places": func(_ *rand.Rand, m *model.Mesh) {
		for _, s := range m.Services {
			for i := 1; i < len(s.Routes); i++ {
				if q, err := reach.Overlap(reach.OfMatches(s.Routes[i-1].Match), reach.OfMatches(s.Routes[i].Match)); q == nil && err == nil {
					s.Routes[i-1], s.Routes[i] = s.Routes[i], s.Routes[i-1]
				}
			}
		}
	},
	"a hidden route": func(_ *rand.Rand, m *model.Mesh) {
		for _, s := range m.Services {
			if len(s.Routes) > 0 {
				again := *s.Routes[0]
				again.Timeout = 99 * time.Second
				s.Routes = append(s.Routes, &again)
			}
		}
	},
	"order of a split": func(rng *rand.Rand, m *model.Mesh) {
		eachRoute(m, func(r *model.Route) { shuffle(rng, r.Split) })
	},
}

func shuffle[T any](rng *rand.Rand, list []T) {
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func eachRoute(m *model.Mesh, visit func(*model.Route)) {
	for _, s := range m.Services {
		for _, r := range s.Routes {
			visit(r)
		}
	}
	for _, g := range m.Gateways {
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				for _, r := range h.Routes {
					visit(r.Route)
				}
			}
		}
	}
}

func eachMatch(m *model.Mesh, visit func(*model.Match)) {
	eachRoute(m, func(r *model.Route) {
		for i := range r.Match {
			visit(&r.Match[i])
		}
	})
}

// TestRefactorings: what is written otherwise only is reported as that, and
// nothing as a change, one by one and all together.
func TestRefactorings(t *testing.T) {
	meshes := uint64(3)
	if os.Getenv("MESHC_SOAK") != "" {
		meshes = 100
	}
	var names []string
	for name := range refactorings {
		names = append(names, name)
	}
	slices.Sort(names)
	tried, written := 0, 0
	for seed := range meshes {
		before := generated(t, seed)
		all := clone(t, before)
		check := func(name string, after *model.Mesh) {
			r := behave.Meshes(before, after)
			tried++
			for _, n := range r.Same {
				was, _ := r.Was(n)
				if fingerprint(t, before, wasNamed(n, was)) != fingerprint(t, after, n) {
					t.Errorf("seed %d, %s: %v has another fingerprint", seed, name, n)
				}
			}
			written += len(r.Same)
			for _, o := range r.Objects {
				t.Errorf("seed %d, %s: %v: %v %+v", seed, name, o.Name, o.Unknown, o.Changes)
			}
		}
		for i, name := range names {
			after := clone(t, before)
			refactorings[name](rand.New(rand.NewPCG(seed, uint64(i))), after)
			check(name, after)
			refactorings[name](rand.New(rand.NewPCG(seed, uint64(i))), all)
		}
		check("everything", all)
	}
	t.Logf("%d refactorings, %d objects that are written otherwise", tried, written)
}

func fingerprint(t *testing.T, m *model.Mesh, n behave.Name) string {
	t.Helper()
	out, err := behave.Fingerprint(m, n)
	if err != nil {
		t.Error(err)
	}
	return out
}
