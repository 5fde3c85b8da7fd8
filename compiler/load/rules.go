package load

import (
	"regexp"
	"strconv"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"
)

// rule is one expression of the schema as far as plain data can be held
// against it without CUE. It never accepts what CUE would not; what it does
// not understand it refuses, and CUE decides.
type rule interface {
	// accepts says that n satisfies the expression; s is its shape, for the
	// unions that meshc checks itself.
	accepts(n *plain, s *shape) bool
	// kinds are those that an accepted value may have.
	kinds() cue.Kind
}

// entryRules are the rules of the entries by kind. They are read once.
var entryRules = sync.OnceValue(func() map[string]rule {
	c := newRuleCompiler()
	out := map[string]rule{}
	for _, kind := range kinds {
		out[kind] = c.definition("#" + boundTo[kind])
	}
	out["namespace"] = c.definition("#" + boundTo["namespace"])
	return out
})

// ruleCompiler reads rules from the syntax of the schema: each kind of node is
// either known here or not understood.
type ruleCompiler struct {
	exprs map[string]ast.Expr
	done  map[string]rule
}

func newRuleCompiler() *ruleCompiler {
	c := &ruleCompiler{exprs: map[string]ast.Expr{}, done: map[string]rule{}}
	seen := map[string]bool{}
	for _, f := range schemaFiles() {
		for _, d := range f.Decls {
			field, ok := d.(*ast.Field)
			if !ok {
				continue
			}
			if name, _, err := ast.LabelName(field.Label); err == nil {
				if seen[name] {
					delete(c.exprs, name) // a conjunction over two places
					continue
				}
				seen[name] = true
				c.exprs[name] = field.Value
			}
		}
	}
	return c
}

// definition gives the rule of a top-level name of the schema. One that leads
// to itself is not understood.
func (c *ruleCompiler) definition(name string) rule {
	if r, ok := c.done[name]; ok {
		return r
	}
	c.done[name] = unknown{}
	e, ok := c.exprs[name]
	if !ok {
		return unknown{}
	}
	r := c.expr(e)
	c.done[name] = r
	return r
}

func (c *ruleCompiler) expr(e ast.Expr) rule {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return c.expr(e.X)
	case *ast.Ident:
		if k, ok := basicKinds[e.Name]; ok {
			return ofKind(k)
		}
		return c.definition(e.Name)
	case *ast.BasicLit:
		return constant(e)
	case *ast.UnaryExpr:
		return bound(e)
	case *ast.BinaryExpr:
		return c.binary(e)
	case *ast.ListLit:
		return c.list(e)
	case *ast.StructLit:
		return c.structure(e)
	}
	return unknown{}
}

var basicKinds = map[string]cue.Kind{
	"string": cue.StringKind, "bool": cue.BoolKind, "int": cue.IntKind, "number": cue.IntKind | cue.FloatKind,
}

// unknown is an expression that is left to CUE.
type unknown struct{}

func (unknown) accepts(*plain, *shape) bool { return false }
func (unknown) kinds() cue.Kind             { return cue.TopKind }

// ofKind accepts every value of some scalar kinds.
type ofKind cue.Kind

func (k ofKind) accepts(n *plain, _ *shape) bool { return n.kind&cue.Kind(k) != 0 }
func (k ofKind) kinds() cue.Kind                 { return cue.Kind(k) }

// equal accepts one string or bool.
type equal struct {
	kind cue.Kind
	text string
}

func (e equal) accepts(n *plain, _ *shape) bool { return n.kind == e.kind && n.text == e.text }
func (e equal) kinds() cue.Kind                 { return e.kind }

func constant(e *ast.BasicLit) rule {
	switch e.Kind {
	case token.STRING:
		if text, err := literal.Unquote(e.Value); err == nil {
			return equal{cue.StringKind, text}
		}
	case token.TRUE, token.FALSE:
		return equal{cue.BoolKind, e.Value}
	}
	return unknown{}
}

// match accepts the strings that an expression matches, or does not.
type match struct {
	re   *regexp.Regexp
	want bool
	mu   *sync.Mutex
	memo map[string]bool
}

const maxMemo = 4096

func (m match) accepts(n *plain, _ *shape) bool {
	if n.kind != cue.StringKind {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	ok, known := m.memo[n.text]
	if !known {
		ok = m.re.MatchString(n.text) == m.want
		if len(m.memo) < maxMemo {
			m.memo[n.text] = ok
		}
	}
	return ok
}

func (m match) kinds() cue.Kind { return cue.StringKind }

// limit accepts numbers on one side of a bound.
type limit struct {
	op token.Token
	to float64
}

// accepts compares exactly: plain numbers and bounds have no more digits than a
// float64 tells apart.
func (l limit) accepts(n *plain, _ *shape) bool {
	if n.kind&l.kinds() == 0 {
		return false
	}
	v, err := strconv.ParseFloat(n.text, 64)
	if err != nil {
		return false
	}
	switch l.op {
	case token.GEQ:
		return v >= l.to
	case token.LEQ:
		return v <= l.to
	case token.GTR:
		return v > l.to
	case token.LSS:
		return v < l.to
	}
	return false
}

func (l limit) kinds() cue.Kind { return cue.IntKind | cue.FloatKind }

func bound(e *ast.UnaryExpr) rule {
	lit, ok := e.X.(*ast.BasicLit)
	if !ok {
		return unknown{}
	}
	switch e.Op {
	case token.MAT, token.NMAT:
		text, err := literal.Unquote(lit.Value)
		if err != nil || lit.Kind != token.STRING {
			return unknown{}
		}
		re, err := regexp.Compile(text)
		if err != nil {
			return unknown{}
		}
		return match{re: re, want: e.Op == token.MAT, mu: &sync.Mutex{}, memo: map[string]bool{}}
	case token.GEQ, token.LEQ, token.GTR, token.LSS:
		if to, err := strconv.ParseFloat(lit.Value, 64); err == nil && len(lit.Value) <= 15 {
			return limit{e.Op, to}
		}
	}
	return unknown{}
}

func (c *ruleCompiler) binary(e *ast.BinaryExpr) rule {
	x, y := c.expr(e.X), c.expr(e.Y)
	const scalars = cue.StringKind | cue.NumberKind | cue.BoolKind
	all := x.kinds() | y.kinds()
	switch {
	case e.Op == token.AND && all&^scalars == 0:
		return both{x, y}
	case e.Op == token.OR && (all&^scalars == 0 || x.kinds()&y.kinds() == 0):
		return either{x, y}
	}
	return unknown{}
}

// both accepts what two rules of scalars accept.
type both struct{ x, y rule }

func (b both) accepts(n *plain, s *shape) bool { return b.x.accepts(n, s) && b.y.accepts(n, s) }
func (b both) kinds() cue.Kind                 { return b.x.kinds() & b.y.kinds() }

// either accepts what one of two rules accepts: of scalars, where a second
// match changes nothing, or of kinds that have nothing in common.
type either struct{ x, y rule }

func (o either) accepts(n *plain, s *shape) bool { return o.x.accepts(n, s) || o.y.accepts(n, s) }
func (o either) kinds() cue.Kind                 { return o.x.kinds() | o.y.kinds() }

// listOf accepts lists of any length.
type listOf struct{ element rule }

func (l listOf) accepts(n *plain, s *shape) bool {
	if n.kind != cue.ListKind || s == nil || s.element == nil {
		return false
	}
	for _, k := range n.kids {
		if !l.element.accepts(k, s.element) {
			return false
		}
	}
	return true
}

func (l listOf) kinds() cue.Kind { return cue.ListKind }

func (c *ruleCompiler) list(e *ast.ListLit) rule {
	if len(e.Elts) == 1 {
		if rest, ok := e.Elts[0].(*ast.Ellipsis); ok && rest.Type != nil {
			return listOf{c.expr(rest.Type)}
		}
	}
	return unknown{}
}

// closed accepts structs that have the fields of a definition and no others.
type closed struct {
	fields   map[string]rule
	required []string
	key      rule // of a map; nil when there is no pattern
	entry    rule
}

func (c *closed) kinds() cue.Kind { return cue.StructKind }

func (c *closed) accepts(n *plain, s *shape) bool {
	if n.kind != cue.StructKind || s == nil {
		return false
	}
	for _, k := range n.kids {
		r := c.fields[k.key]
		if r == nil && c.key != nil && c.key.accepts(&plain{kind: cue.StringKind, text: k.key}, nil) {
			r = c.entry
		}
		if r == nil || !r.accepts(k, s.child(k.key)) {
			return false
		}
	}
	for _, name := range c.required {
		if n.kid(name) == nil {
			return false
		}
	}
	return s.oneOf == nil || n.hasOneOf(s.oneOf)
}

// hasOneOf says that exactly one of some fields is there.
func (p *plain) hasOneOf(names []string) bool {
	found := 0
	for _, name := range names {
		if p.kid(name) != nil {
			found++
		}
	}
	return found == 1
}

func (c *ruleCompiler) structure(e *ast.StructLit) rule {
	out := &closed{fields: map[string]rule{}}
	for _, d := range e.Elts {
		field, ok := d.(*ast.Field)
		if !ok {
			if _, comment := d.(*ast.CommentGroup); comment {
				continue
			}
			return unknown{}
		}
		if l, ok := field.Label.(*ast.ListLit); ok {
			if out.key != nil || len(l.Elts) != 1 || field.Constraint != token.ILLEGAL {
				return unknown{}
			}
			out.key, out.entry = c.expr(l.Elts[0]), c.expr(field.Value)
			continue
		}
		if !c.named(out, field) {
			return unknown{}
		}
	}
	if out.key != nil && len(out.fields) > 0 {
		return unknown{} // a name may be held against both
	}
	return out
}

// named takes in an optional or required field. One that the schema itself
// gives a value is left to CUE.
func (c *ruleCompiler) named(out *closed, field *ast.Field) bool {
	name, _, err := ast.LabelName(field.Label)
	if err != nil || out.fields[name] != nil || name[0] == '#' || name[0] == '_' {
		return false
	}
	switch field.Constraint {
	case token.OPTION:
	case token.NOT:
		out.required = append(out.required, name)
	default:
		return false
	}
	out.fields[name] = c.expr(field.Value)
	return true
}
