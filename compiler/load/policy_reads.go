package load

import (
	"slices"
	"strconv"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// sight is a part of the view that an expression may be.
type sight struct {
	s     *shape
	r     *intent.Reads
	keyed bool // by a key of a map, which may be missing
}

// traced is what of the view an expression is; each is of the elements of a
// list that rules make of it.
type traced struct {
	at   []sight
	each *traced
}

func (t traced) with(o traced) traced {
	t.at = append(slices.Clone(t.at), o.at...)
	switch {
	case t.each == nil:
		t.each = o.each
	case o.each != nil:
		both := t.each.with(*o.each)
		t.each = &both
	}
	return t
}

// tracer follows the view through the expressions of rules. It finds fields
// that the view does not have, whether or not anything reads them in this mesh,
// and what is read at all. What it cannot follow is taken to be read as a whole.
type tracer struct {
	top   map[string][]ast.Expr // fields of the package, each with all of its declarations
	names map[ast.Node]string   // of what stands for such a field
	vars  map[ast.Node]traced   // of clauses
	known map[ast.Expr]traced   // what was referred to
	view  sight
	depth int                   // of references that are followed
	at    diag.Range            // of the outermost one
	first map[string]diag.Range // where a part of the view is first read from
	diags diag.List
}

// newTracer is for files whose identifiers are resolved.
func newTracer(files []*ast.File) *tracer {
	t := &tracer{top: map[string][]ast.Expr{}, names: map[ast.Node]string{}, vars: map[ast.Node]traced{}, known: map[ast.Expr]traced{}, first: map[string]diag.Range{}}
	t.view = sight{s: policyShapes().view, r: &intent.Reads{}}
	for _, f := range files {
		for _, d := range f.Decls {
			if field, ok := d.(*ast.Field); ok {
				if name, ok := literalLabel(field.Label); ok {
					t.top[name] = append(t.top[name], field.Value)
					for _, n := range []ast.Node{field, field.Value, unaliased(field.Value)} {
						t.names[n] = name
					}
				}
			}
		}
	}
	return t
}

// traceRules follows the view through files whose identifiers are resolved.
func traceRules(files []*ast.File) (*intent.Reads, diag.List) {
	t := newTracer(files)
	for _, f := range files {
		for _, d := range f.Decls {
			// What a hidden field or a definition is bound to counts where it is used.
			if field, ok := d.(*ast.Field); ok && isHidden(field) {
				t.label(field)
				of := t.referred(unaliased(field.Value))
				if name, ok := literalLabel(field.Label); ok && len(t.top[name]) > 1 {
					t.mark(of) // another declaration may say what is where the view has nothing
				}
				continue
			}
			t.decls([]ast.Decl{d})
		}
	}
	return t.view.r, unique(t.diags)
}

// everything gives up on what is read.
func (t *tracer) everything() traced {
	t.view.r.All = true
	return traced{}
}

func (t *tracer) decls(all []ast.Decl) {
	for _, d := range all {
		switch d := d.(type) {
		case *ast.Field:
			t.label(d)
			t.use(unaliased(d.Value))
		case *ast.EmbedDecl:
			t.use(d.Expr)
		case *ast.LetClause:
			t.vars[d] = t.expr(d.Expr)
		case *ast.Comprehension:
			t.comprehension(d, t.uses)
		case *ast.Package, *ast.ImportDecl, *ast.CommentGroup, *ast.Attribute:
		case *ast.Ellipsis:
			t.use(d.Type)
		default:
			t.everything()
		}
	}
}

func isHidden(f *ast.Field) bool {
	id, ok := f.Label.(*ast.Ident)
	return ok && (id.Name[0] == '_' || id.Name[0] == '#')
}

// label visits the expressions of a label.
func (t *tracer) label(f *ast.Field) {
	label := ast.Node(f.Label)
	if a, ok := label.(*ast.Alias); ok {
		label = a.Expr
	}
	switch l := label.(type) {
	case *ast.ParenExpr:
		t.use(l.X)
	case *ast.Interpolation:
		t.use(l)
	case *ast.ListLit:
		for _, e := range l.Elts {
			t.use(unaliased(e))
		}
	}
}

func unaliased(e ast.Expr) ast.Expr {
	if a, ok := e.(*ast.Alias); ok {
		return a.Expr
	}
	return e
}

// comprehension visits clauses and then gives the value to then.
func (t *tracer) comprehension(c *ast.Comprehension, then func(ast.Expr) traced) traced {
	for _, clause := range c.Clauses {
		switch clause := clause.(type) {
		case *ast.ForClause:
			of := t.members(t.expr(clause.Source))
			if clause.Key != nil {
				t.vars[clause.Key] = traced{}
			}
			t.vars[clause.Value] = of
		case *ast.IfClause:
			t.use(clause.Condition)
		case *ast.LetClause:
			of := t.expr(clause.Expr)
			t.vars[clause], t.vars[clause.Ident] = of, of
		default:
			t.everything()
		}
	}
	if c.Fallback != nil {
		t.use(c.Fallback.Body)
	}
	return then(c.Value)
}

// members are the elements of a list or the entries of a map.
func (t *tracer) members(of traced) traced {
	var out traced
	for _, s := range of.at {
		switch {
		case s.s.entry != nil:
			out.at = append(out.at, sight{s: s.s.entry, r: s.r.AddEach()})
		case s.s.element != nil:
			out.at = append(out.at, sight{s: s.s.element, r: s.r.AddEach()})
		default:
			s.r.All = true
		}
	}
	if of.each != nil {
		out = out.with(*of.each)
	}
	return out
}

// use visits an expression of which all that it is counts.
func (t *tracer) use(e ast.Expr) { t.mark(t.expr(e)) }

func (t *tracer) uses(e ast.Expr) traced {
	t.use(e)
	return traced{}
}

func (t *tracer) mark(of traced) {
	for _, s := range of.at {
		s.r.All = true
	}
	if of.each != nil {
		t.mark(*of.each)
	}
}

// expr visits an expression and says what of the view it is.
func (t *tracer) expr(e ast.Expr) traced {
	switch e := e.(type) {
	case nil, *ast.BasicLit, *ast.BottomLit:
	case *ast.Ident:
		return t.ident(e)
	case *ast.ParenExpr:
		return t.expr(e.X)
	case *ast.SelectorExpr:
		if name, _, err := ast.LabelName(e.Sel); err == nil {
			return t.selected(t.expr(e.X), name, rangeOf(e.Sel))
		}
		t.use(e.X)
	case *ast.IndexExpr:
		return t.indexed(e)
	case *ast.SliceExpr:
		t.use(e.Low)
		t.use(e.High)
		return t.expr(e.X)
	case *ast.ListLit:
		return t.list(e)
	case *ast.StructLit:
		if len(e.Elts) == 1 {
			if embedded, ok := e.Elts[0].(*ast.EmbedDecl); ok {
				return t.expr(embedded.Expr)
			}
		}
		t.decls(e.Elts)
	case *ast.CallExpr:
		t.call(e)
	case *ast.BinaryExpr:
		t.binary(e)
	case *ast.UnaryExpr:
		t.use(e.X)
	case *ast.Interpolation:
		for _, part := range e.Elts {
			t.use(part)
		}
	default:
		return t.everything()
	}
	return traced{}
}

func (t *tracer) list(e *ast.ListLit) traced {
	var each traced
	for _, element := range e.Elts {
		switch element := element.(type) {
		case *ast.Comprehension:
			each = each.with(t.comprehension(element, t.expr))
		case *ast.Ellipsis:
			t.use(element.Type)
		default:
			each = each.with(t.expr(element))
		}
	}
	return traced{each: &each}
}

// call uses its arguments, but that len counts what there is.
func (t *tracer) call(e *ast.CallExpr) {
	counts := false
	if id, ok := e.Fun.(*ast.Ident); ok && id.Node == nil {
		counts = id.Name == "len"
	} else {
		t.use(e.Fun)
	}
	for _, arg := range e.Args {
		of := t.expr(arg)
		if counts && !slices.ContainsFunc(of.at, func(s sight) bool { return s.s.entry == nil && s.s.element == nil }) {
			continue
		}
		t.mark(of)
	}
}

func (t *tracer) binary(e *ast.BinaryExpr) {
	if e.Op != token.EQL && e.Op != token.NEQ || !isBottom(e.X) && !isBottom(e.Y) {
		t.use(e.X)
		t.use(e.Y)
		return
	}
	side := e.X
	if isBottom(side) {
		side = e.Y
	}
	of := t.expr(side) // whether it is there takes nothing of what it holds
	if len(of.at) == 0 || slices.ContainsFunc(of.at, func(s sight) bool { return !s.keyed }) {
		d := diag.New(diag.BadRule, rangeOf(e), "`_|_` tells nothing here: every field of the view is there, and a name that is misspelt would pass unseen")
		d.Help = "compare with what is empty: \"\", 0, [] or false; `_|_` is for an entry of a map, such as mesh.service[\"shop/cart\"]"
		t.diags.Add(d)
	}
}

func isBottom(e ast.Expr) bool {
	if p, ok := e.(*ast.ParenExpr); ok {
		return isBottom(p.X)
	}
	_, ok := e.(*ast.BottomLit)
	return ok
}

// selected is a field of what an expression is.
func (t *tracer) selected(of traced, name string, at diag.Range) traced {
	var out traced
	for _, s := range of.at {
		child := s.s.fields[name]
		switch {
		case s.s.entry != nil:
			out.at = append(out.at, sight{s: s.s.entry, r: s.r.AddEach(), keyed: true})
		case child != nil:
			out.at = append(out.at, sight{s: child, r: s.r.Add(name)})
		default:
			t.unknown(s.s, name, at)
		}
	}
	return out
}

func (t *tracer) unknown(s *shape, name string, at diag.Range) {
	where := s.field
	if where == "" {
		where = "the view"
	}
	d := diag.New(diag.BadRule, at, "%s has no field %q", where, name)
	d.Help = nearest(name, s.names)
	if s.names == nil {
		d.Help = "it is " + s.want()
	}
	t.diags.Add(d)
}

func (t *tracer) indexed(e *ast.IndexExpr) traced {
	of := t.expr(e.X)
	t.use(e.Index)
	var out traced
	for _, s := range of.at {
		switch lit, ok := e.Index.(*ast.BasicLit); {
		case s.s.entry != nil || s.s.element != nil:
			out.at = append(out.at, t.members(traced{at: []sight{s}}).at...)
			out.at[len(out.at)-1].keyed = s.s.entry != nil
		case ok && lit.Kind == token.STRING:
			name, err := strconv.Unquote(lit.Value)
			if err != nil {
				return t.everything()
			}
			out = out.with(t.selected(traced{at: []sight{s}}, name, rangeOf(lit)))
		default:
			s.r.All = true
		}
	}
	if of.each != nil {
		out = out.with(*of.each)
	}
	return out
}

// ident is what a name stands for.
func (t *tracer) ident(id *ast.Ident) traced {
	if t.depth == 0 {
		t.at = rangeOf(id)
	}
	t.depth++
	defer func() { t.depth-- }()
	if name, ok := t.names[id.Node]; ok {
		return t.named(name)
	}
	if id.Node != nil && id.Node.Pos().Filename() == bindingFile { // the rules were built
		return t.named(id.Name)
	}
	switch n := id.Node.(type) {
	case nil:
		return t.named(id.Name)
	case *ast.ImportSpec:
		return traced{}
	case *ast.Field:
		return t.referred(unaliased(n.Value))
	case *ast.Alias:
		return t.referred(n.Expr)
	case *ast.LetClause:
		if of, ok := t.vars[n]; ok {
			return of
		}
		return t.referred(n.Expr)
	case ast.Expr:
		if of, ok := t.vars[n]; ok {
			return of
		}
		return t.referred(n)
	}
	return t.everything()
}

// named is what stands at the top: a field, by all of its declarations, the view,
// or a word of CUE.
func (t *tracer) named(name string) traced {
	if all, ok := t.top[name]; ok {
		var out traced
		for _, e := range all {
			out = out.with(t.referred(unaliased(e)))
		}
		return out
	}
	if s, ok := t.view.s.fields[name]; ok {
		if _, known := t.first[name]; !known {
			t.first[name] = t.at
		}
		return traced{at: []sight{{s: s, r: t.view.r.Add(name)}}}
	}
	return traced{}
}

// referred is what an expression is that stands elsewhere. One that refers to
// itself is nothing of the view.
func (t *tracer) referred(e ast.Expr) traced {
	if of, ok := t.known[e]; ok {
		return of
	}
	t.known[e] = traced{}
	t.known[e] = t.expr(e)
	return t.known[e]
}
