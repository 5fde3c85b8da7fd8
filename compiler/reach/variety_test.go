package reach

import (
	"slices"
	"testing"
)

// variety counts what rule sets that are drawn consist of.
type variety struct {
	sets, expressions, negations int
	kinds                        map[Kind]int
	shapes                       map[shape]int
}

func newVariety() *variety { return &variety{kinds: map[Kind]int{}, shapes: map[shape]int{}} }

// add counts one rule set.
func (v *variety) add(preds ...Pred) {
	v.sets++
	expression, negation := false, false
	var visit func(Pred)
	visit = func(p Pred) {
		c := p.what()
		negation = negation || c.op == notOf
		if c.op == isIn {
			v.kinds[c.dim.Kind]++
			v.shapes[c.text.shape]++
			expression = expression || c.text.shape == regexShape
		}
		for _, q := range c.of {
			visit(q)
		}
	}
	for _, p := range preds {
		visit(p)
	}
	if expression {
		v.expressions++
	}
	if negation {
		v.negations++
	}
}

// enough requires every kind of coordinate and of text, and expressions and
// negations in a quarter of the sets each. Networks are left to
// TestNetworksAreExact, and replacements to TestReplaced.
func (v *variety) enough(t *testing.T) {
	t.Helper()
	t.Logf("%d rule sets, %d %% with an expression, %d %% with a negation, over %v", v.sets, 100*v.expressions/v.sets, 100*v.negations/v.sets, v.kinds)
	if 4*v.expressions < v.sets || 4*v.negations < v.sets {
		t.Error("too few expressions or negations")
	}
	for kind := range kinds {
		if v.kinds[kind] == 0 && !slices.Contains([]Kind{Address, Through, Client}, kind) {
			t.Errorf("no condition is on a %s", kind)
		}
	}
	for s := anyShape; s < networkShape; s++ {
		if v.shapes[s] == 0 {
			t.Errorf("no condition has shape %d", s)
		}
	}
}
