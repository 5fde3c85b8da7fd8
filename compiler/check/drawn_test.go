package check_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/model"
)

// drawn counts what lists of rules that are drawn consist of.
type drawn struct {
	sets, expressions, negations, points int
	conditions                           map[string]int

	expression, negation bool // of the set at hand
}

func newDrawn() *drawn { return &drawn{conditions: map[string]int{}} }

// end counts the set at hand, which was judged on so many requests.
func (v *drawn) end(points int) {
	v.sets, v.points = v.sets+1, v.points+points
	if v.expression {
		v.expressions++
	}
	if v.negation {
		v.negations++
	}
	v.expression, v.negation = false, false
}

func (v *drawn) condition(on string, kind model.MatchKind, not bool) {
	v.conditions[on]++
	v.conditions[string(kind)]++
	v.expression = v.expression || kind == model.Regex
	v.negation = v.negation || not || kind == model.Absent
}

func (v *drawn) paths(list []model.PathMatch, not bool) {
	for _, p := range list {
		v.condition("path", p.Kind, p.Not || not)
	}
}

func (v *drawn) named(on string, list []model.NamedMatch) {
	for _, c := range list {
		switch c.Name {
		case model.HostHeader:
			v.condition("host", c.Kind, c.Not)
		case model.SchemeHeader:
			v.condition("scheme", c.Kind, c.Not)
		default:
			v.condition(on, c.Kind, c.Not)
		}
	}
}

func (v *drawn) match(m model.Match) {
	v.paths(m.Paths, false)
	if len(m.Methods)+len(m.NotMethods) > 0 {
		v.condition("method", model.Exact, len(m.NotMethods) > 0)
	}
	v.named("header", m.Headers)
	v.named("query", m.Query)
	v.named("cookie", m.Cookies)
	v.named("claim", m.Claims)
}

func (v *drawn) routes(list []*model.Route) {
	for _, r := range list {
		if len(r.Ports) == 1 {
			v.conditions["port"]++
		}
		for _, m := range r.Match {
			v.match(m)
		}
	}
}

func (v *drawn) rules(lists ...[]model.Rule) {
	for _, r := range slices.Concat(lists...) {
		v.paths(r.Paths, false)
		v.paths(r.NotPaths, true)
		for on, n := range map[string]int{
			"method": len(r.Methods) + len(r.NotMethods), "identity": len(r.Principals) + len(r.NotPrincipals), "namespace": len(r.Namespaces) + len(r.NotNamespaces),
			"address": len(r.IPs) + len(r.NotIPs), "client address": len(r.ClientIPs) + len(r.NotClientIPs), "port": len(r.Ports) + len(r.NotPorts),
		} {
			v.conditions[on] += n
		}
		v.negation = v.negation || len(r.NotMethods)+len(r.NotPrincipals)+len(r.NotNamespaces)+len(r.NotPorts)+len(r.NotHosts)+len(r.NotIPs)+len(r.NotClientIPs) > 0
		v.named("host", slices.Concat(r.Hosts, r.NotHosts))
		v.named("header", r.Headers)
		v.named("claim", r.Claims)
	}
}

// enough requires expressions and negations in a quarter of the sets each, and of
// every condition that is named some.
func (v *drawn) enough(t *testing.T, conditions string) {
	t.Helper()
	t.Logf("%d lists of rules, %d %% with an expression, %d %% with a negation, judged on %d requests, over %v",
		v.sets, 100*v.expressions/v.sets, 100*v.negations/v.sets, v.points, v.conditions)
	if v.sets < 20 {
		return // too few to say
	}
	if 4*v.expressions < v.sets || 4*v.negations < v.sets {
		t.Error("too few expressions or negations")
	}
	for _, c := range strings.Fields(conditions) {
		if v.conditions[c] == 0 {
			t.Errorf("no condition is or has %s", c)
		}
	}
}

const (
	pathKinds  = "path exact prefix segmentPrefix regex "
	valueKinds = "suffix contains present absent "
	ofRoutes   = pathKinds + valueKinds + "method header query cookie host scheme port range "
	ofRules    = pathKinds + valueKinds + "method header host claim port identity namespace address "
)
