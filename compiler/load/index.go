package load

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/diag"
)

// index finds where a path of the evaluated mesh was written. CUE keeps no
// place for many values and errors, so it is built from the user's AST.
type index struct {
	root   *node
	own    string // the directory whose files come first
	budget int    // nodes that may still be made: references can multiply
	spans  spans  // of data files
}

// node is one path: the fields that wrote it, and what lies below.
type node struct {
	places   []place
	children map[string]*node
	patterns []*node // below labels such as [string] and (expr)
}

// place is one field, or one element of a list.
type place struct {
	label, value diag.Range
	literal      string // the value, when it is a literal as users write it
	own          bool   // in a file of the directory that the index is for
	concrete     bool   // says a value, and not a constraint
	declares     bool   // says what an entry cannot be without
}

// declaring are fields that a service, an external or a gateway has where it
// is declared. Routes, expectations and what else is said of it elsewhere are
// further places of the entry, and not where a reader looks for it.
var declaring = []string{"ports", "host", "listeners"}

const (
	indexBudget   = 200_000
	maxReferences = 4 // depth to which the index follows identifiers
)

func newIndex(own string, files []*ast.File, exact spans) *index {
	ix := &index{root: &node{}, own: own, budget: indexBudget, spans: exact}
	for _, f := range files {
		ix.addDecls(ix.root, f.Decls, path.Dir(f.Filename) == own, 0)
	}
	return ix
}

func (ix *index) addDecls(n *node, decls []ast.Decl, own bool, refs int) {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			ix.addField(n, d, own, refs)
		case *ast.EmbedDecl:
			ix.addExpr(n, d.Expr, own, refs)
		case *ast.Comprehension:
			ix.addExpr(n, d.Value, own, refs)
		}
	}
}

func (ix *index) addField(n *node, f *ast.Field, own bool, refs int) {
	if ix.budget--; ix.budget < 0 {
		return
	}
	child := n.below(f.Label)
	_, named := literalLabel(f.Label)
	child.places = append(child.places, place{
		label: ix.spans.rangeOf(f.Label), value: ix.spans.rangeOf(f.Value), literal: literalText(f.Value), own: own,
		concrete: isConcrete(f.Value), declares: named && declares(f.Value),
	})
	ix.addExpr(child, f.Value, own, refs)
}

// addExpr indexes what an expression writes below n.
func (ix *index) addExpr(n *node, e ast.Expr, own bool, refs int) {
	switch e := e.(type) {
	case *ast.StructLit:
		ix.addDecls(n, e.Elts, own, refs)
	case *ast.ListLit:
		ix.addElements(n, e, own, refs)
	case *ast.ParenExpr:
		ix.addExpr(n, e.X, own, refs)
	case *ast.UnaryExpr:
		ix.addExpr(n, e.X, own, refs)
	case *ast.BinaryExpr:
		if e.Op == token.AND || e.Op == token.OR {
			ix.addExpr(n, e.X, own, refs)
			ix.addExpr(n, e.Y, own, refs)
		}
	case *ast.Ident:
		if target := referenced(e); target != nil && refs < maxReferences {
			ix.addExpr(n, target, ix.isOwn(target), refs+1)
		}
	}
}

// referenced gives what an identifier of the same package stands for.
func referenced(id *ast.Ident) ast.Expr {
	switch n := id.Node.(type) {
	case *ast.Field:
		return n.Value
	case ast.Expr:
		return n
	}
	return nil
}

// isOwn says that a node stands in a file of the index's directory.
func (ix *index) isOwn(n ast.Node) bool {
	return path.Dir(n.Pos().Filename()) == ix.own
}

func (ix *index) addElements(n *node, l *ast.ListLit, own bool, refs int) {
	for i, e := range l.Elts {
		if _, ok := e.(*ast.Ellipsis); ok {
			continue
		}
		if ix.budget--; ix.budget < 0 {
			return
		}
		child := n.child(strconv.Itoa(i))
		at := ix.spans.rangeOf(e)
		child.places = append(child.places, place{label: at, value: at, literal: literalText(e), own: own, concrete: isConcrete(e)})
		ix.addExpr(child, e, own, refs)
	}
}

// below gives the node of a label, a new one for a pattern.
func (n *node) below(label ast.Label) *node {
	if name, ok := literalLabel(label); ok {
		return n.child(name)
	}
	p := &node{}
	n.patterns = append(n.patterns, p)
	return p
}

func (n *node) child(name string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	c, ok := n.children[name]
	if !ok {
		c = &node{}
		n.children[name] = c
	}
	return c
}

// literalLabel gives the name that a label writes out.
func literalLabel(label ast.Label) (string, bool) {
	if a, ok := label.(*ast.Alias); ok {
		l, ok := a.Expr.(ast.Label)
		if !ok {
			return "", false
		}
		label = l
	}
	switch label.(type) {
	case *ast.Ident, *ast.BasicLit:
		name, _, err := ast.LabelName(label)
		return name, err == nil
	}
	return "", false
}

// isConcrete says that an expression is a value as users write it.
func isConcrete(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.StructLit, *ast.ListLit, *ast.Interpolation:
		return true
	case *ast.UnaryExpr:
		return (e.Op == token.SUB || e.Op == token.ADD) && isConcrete(e.X)
	}
	return false
}

// declares says that an expression writes one of the fields declaring.
func declares(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.StructLit:
		return slices.ContainsFunc(e.Elts, func(d ast.Decl) bool {
			f, ok := d.(*ast.Field)
			if !ok {
				return false
			}
			name, ok := literalLabel(f.Label)
			return ok && slices.Contains(declaring, name)
		})
	case *ast.BinaryExpr:
		return e.Op == token.AND && (declares(e.X) || declares(e.Y))
	}
	return false
}

// literalText gives the source of a scalar literal; "" for anything else.
func literalText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Value
	case *ast.UnaryExpr:
		if x := literalText(e.X); x != "" {
			return e.Op.String() + x
		}
	}
	return ""
}

// nodes gives the nodes that speak of a path, literal labels before patterns.
func (ix *index) nodes(p []string) []*node {
	level := []*node{ix.root}
	for _, name := range p {
		var literal, pattern []*node
		for _, n := range level {
			if c, ok := n.children[name]; ok {
				literal = append(literal, c)
			}
			pattern = append(pattern, n.patterns...)
		}
		level = append(literal, pattern...)
	}
	return level
}

// names gives the labels that are written out directly below a path.
func (ix *index) names(p []string) []string {
	var out []string
	for _, n := range ix.nodes(p) {
		out = append(out, sortedKeys(n.children)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// place gives the best place of a path; where nobody wrote the path itself, it
// is that of its nearest ancestor, and exact is false.
func (ix *index) place(p []string) (at place, exact bool) {
	for depth := len(p); depth > 0; depth-- {
		var all []place
		for _, n := range ix.nodes(p[:depth]) {
			all = append(all, n.places...)
		}
		if len(all) > 0 {
			return best(all), depth == len(p)
		}
	}
	return place{}, false
}

// best prefers the home's own files, then values over constraints, then what
// declares an entry, then the order of the source.
func best(all []place) place {
	rank := func(p place) int {
		r := 0
		if !p.declares {
			r++
		}
		if !p.concrete {
			r += 2
		}
		if !p.own {
			r += 4
		}
		return r
	}
	return slices.MinFunc(all, func(a, b place) int { return rank(a) - rank(b) })
}

// label and value give where a path's label and value stand.
func (ix *index) label(p []string) diag.Range {
	at, _ := ix.place(p)
	return at.label
}

func (ix *index) value(p []string) diag.Range {
	at, exact := ix.place(p)
	if !exact {
		return at.label
	}
	return at.value
}

// ownPlace finds a place of the path in the home's own files.
func (ix *index) ownPlace(p []string) (place, bool) {
	for _, n := range ix.nodes(p) {
		for _, at := range n.places {
			if at.own {
				return at, true
			}
		}
	}
	return place{}, false
}

// pathString prints a path as users write it.
func pathString(p []string) string { return strings.Join(p, ".") }

// ownLiteral finds where the own files write out an entry's name.
func (ix *index) ownLiteral(kind, name string) (diag.Range, bool) {
	top, ok := ix.root.children[kind]
	if !ok {
		return diag.Range{}, false
	}
	n, ok := top.children[name]
	if !ok {
		return diag.Range{}, false
	}
	for _, at := range n.places {
		if at.own {
			return at.label, true
		}
	}
	return diag.Range{}, false
}
