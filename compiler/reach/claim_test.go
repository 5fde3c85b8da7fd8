package reach_test

import (
	"testing"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// TestClaimsMeanWhatAnswerSays holds conditions on claims, and pairs of them, to
// the evaluation of single requests over every combination of a small domain.
func TestClaimsMeanWhatAnswerSays(t *testing.T) {
	var conditions []model.NamedMatch
	for _, name := range []string{"p.a", "p.b", "q.a"} {
		for _, kind := range []model.MatchKind{model.Exact, model.Prefix, model.Suffix, model.Contains, model.Regex, model.Present, model.Absent} {
			for _, not := range []bool{false, true} {
				conditions = append(conditions, model.NamedMatch{Name: name, Kind: kind, Value: map[bool]string{true: "x|y", false: "x"}[kind == model.Regex], Not: not})
			}
		}
	}
	var requests []*reach.Request
	for _, a := range [][]string{nil, {"x"}, {"y", "xy"}, {"z"}} {
		for _, b := range []string{"", "x", "yx"} {
			for _, token := range []bool{false, true} {
				r := &reach.Request{Scheme: "http", Host: "h", Port: 80, Method: "GET", Path: "/"}
				for _, v := range a {
					r.Claims = append(r.Claims, model.Header{Name: "p.a", Value: v})
				}
				if b != "" {
					r.Claims = append(r.Claims, model.Header{Name: "q.a", Value: b})
				}
				if token {
					r.Claims = append(r.Claims, model.Header{Name: "p"})
				}
				requests = append(requests, r)
			}
		}
	}
	for i, c := range conditions {
		m := model.Match{Claims: []model.NamedMatch{c, conditions[(i*7+3)%len(conditions)]}}
		space, err := reach.New(reach.DefaultLimits, reach.OfMatch(m))
		if err != nil {
			t.Fatal(err)
		}
		set, err := space.Set(reach.OfMatch(m))
		if err != nil {
			t.Fatal(err)
		}
		if reach.Empty(m) && !set.Empty() {
			t.Errorf("%s: Empty says that nothing meets it", m)
		}
		for _, r := range requests {
			want := answer.Accepts(&m, &answer.Request{Method: r.Method, Host: r.Host, Target: r.Path, Claims: r.Claims})
			if got, ok := space.Holds(set, r); !ok || got != want {
				t.Errorf("%s of %s: %v, %v; answer says %v", m, r, got, ok, want)
			}
		}
		if w := space.Witness(set); w != nil && !answer.Accepts(&m, &answer.Request{Method: w.Method, Target: w.Path, Claims: w.Claims}) {
			t.Errorf("%s: witness %s does not meet it", m, w)
		}
	}
}
