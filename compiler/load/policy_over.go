package load

import (
	"strconv"

	"cuelang.org/go/cue/ast"

	"github.com/meshc/meshc/compiler/intent"
)

// ofChange is what of the view there is for a rule over the change alone.
var ofChange = []string{"change", "base"}

// overMesh refuses rules over the mesh that read the change: there is none when
// they are asked, and they would find nothing.
func (r *ruling) overMesh(rules []*intent.PolicyRule) {
	for _, rule := range rules {
		if rule.Over != "mesh" {
			continue
		}
		t := newTracer(r.files)
		for _, e := range t.top["rule"] {
			t.ofRule(rule.Name.V, unaliased(e))
		}
		for _, part := range ofChange {
			if at, ok := t.first[part]; ok {
				r.report(at, "rule %q is over the mesh and reads `%s`, which is there for a rule over the change alone", rule.Name.V, part).Help = `write over: "change"`
			}
		}
	}
}

// ofRule visits what may be of a rule, in what says rules by name.
func (t *tracer) ofRule(name string, e ast.Expr) traced {
	lit, ok := e.(*ast.StructLit)
	if !ok {
		return t.uses(e)
	}
	for _, d := range lit.Elts {
		switch d := d.(type) {
		case *ast.Field:
			if label, ok := literalLabel(d.Label); ok && label != name || isOverChange(d.Value) {
				continue
			}
			t.decls([]ast.Decl{d})
		case *ast.Comprehension:
			t.comprehension(d, func(e ast.Expr) traced { return t.ofRule(name, e) })
		default:
			t.decls([]ast.Decl{d})
		}
	}
	return traced{}
}

// isOverChange says that the text of a rule itself says so.
func isOverChange(e ast.Expr) bool {
	lit, ok := unaliased(e).(*ast.StructLit)
	if !ok {
		return false
	}
	for _, d := range lit.Elts {
		field, ok := d.(*ast.Field)
		if !ok {
			continue
		}
		if label, ok := literalLabel(field.Label); !ok || label != "over" {
			continue
		}
		if text, ok := field.Value.(*ast.BasicLit); ok {
			over, err := strconv.Unquote(text.Value)
			return err == nil && over == "change"
		}
	}
	return false
}
