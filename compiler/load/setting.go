package load

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/schema"
)

// explain answers a request for one field. It judges nothing: a mesh with
// mistakes is explained as far as it goes.
func (e *evaluation) explain(req *request, progress func(string)) *answer {
	x := &explanation{evaluation: e, field: req.Field, known: map[string]bool{}, has: map[string]bool{}}
	for _, d := range e.tree.selected(req.Dir) {
		progress(d.path)
		x.surviving(d, x.directory)
	}
	slices.SortStableFunc(x.entries, func(a, b Entry) int { return cmp.Compare(a.Home, b.Home) })
	return &answer{Mesh: &intent.Mesh{}, Diags: unique(e.diags), Entries: x.entries, Names: slices.Sorted(maps.Keys(x.known))}
}

// explanation collects what the instances say about one field.
type explanation struct {
	*evaluation
	field   []string
	known   map[string]bool // names of the kind
	has     map[string]bool // directories whose instance has the entry
	entries []Entry
}

// bareName takes the namespace off a name.
func bareName(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func (x *explanation) directory(d *dir) {
	chain := x.tree.ancestors(d.path)
	var files []*ast.File
	for _, c := range chain {
		files = append(files, c.mesh...)
		if c.bad {
			return // it has its diagnostic
		}
	}
	kind := x.field[0]
	if kind == "mesh" && d.path != "." {
		return
	}
	v, ok := x.build(d, files)
	if !ok {
		return
	}
	if kind == "mesh" {
		entry := Entry{Kind: kind, Home: "."}
		x.settings(&entry, v, x.field)
		x.entries = append(x.entries, entry)
		return
	}
	x.entry(d, chain, v)
}

// entry looks for the entry in the instance that is its home.
func (x *explanation) entry(d *dir, chain []*dir, v cue.Value) {
	kind, name := x.field[0], bareName(x.field[1])
	it, err := v.LookupPath(cue.MakePath(cue.Str(kind))).Fields()
	for err == nil && it.Next() {
		x.known[it.Selector().Unquoted()] = true
	}
	p := append([]string{kind, name}, x.field[2:]...)
	if _, named := valueAt(v, p[:2]); !named {
		return
	}
	x.has[d.path] = true
	if len(chain) > 1 && x.has[chain[len(chain)-2].path] {
		return // inherited
	}
	entry := Entry{Kind: kind, Name: name, Home: d.path, Namespace: namespaceOf(v, kind, name)}
	if wanted, _, ok := strings.Cut(x.field[1], "/"); ok && wanted != entry.Namespace {
		return
	}
	x.settings(&entry, v, p)
	x.entries = append(x.entries, entry)
}

// namespaceOf resolves the namespace as intent does.
func namespaceOf(v cue.Value, kind, name string) string {
	for _, p := range [][]string{{kind, name, "namespace"}, {"namespace"}} {
		at, _ := valueAt(v, p)
		if at, _ = at.Default(); at.Kind() == cue.StringKind {
			text, _ := at.String() // it is text
			return text
		}
	}
	return defaultNamespace
}

// defaultNamespace is where entries live that have no namespace.
const defaultNamespace = "default"

// valueAt follows a path. Where a field is not written, the value is what
// constrains it.
func valueAt(v cue.Value, p []string) (at cue.Value, written bool) {
	written = true
	for _, label := range p {
		next := v.LookupPath(cue.MakePath(cue.Str(label)))
		if index, err := strconv.Atoi(label); err == nil && index >= 0 && v.IncompleteKind() == cue.ListKind {
			next = v.LookupPath(cue.MakePath(cue.Index(index)))
		}
		if !next.Exists() {
			next, written = v.LookupPath(cue.MakePath(cue.Str(label).Optional())), false
		}
		v = next
	}
	return v, written
}

// settings adds the field of an entry and, of a struct, what lies below.
func (x *explanation) settings(entry *Entry, v cue.Value, p []string) {
	s, schemaPath := x.language, []string(nil)
	for i, label := range p {
		if s.isMap() || s.element != nil && isIndex(label) {
			if _, there := valueAt(v, p[:i+1]); !there {
				entry.Lacks = lacking(v, p[:i+1])
				return
			}
			schemaPath = append(schemaPath, Wildcard)
			if s = s.entryOrElement(); s == nil {
				return
			}
			continue
		}
		if s.element != nil {
			s = s.element
		}
		if s = s.fields[label]; s == nil {
			return
		}
		schemaPath = append(schemaPath, label)
	}
	walk := &settingWalk{explanation: x, entry: entry}
	at, written := valueAt(v, p)
	walk.add(spot{at, written}, s, p, schemaPath, 0)
}

func (s *shape) entryOrElement() *shape {
	if s.isMap() {
		return s.entry
	}
	return s.element
}

// lacking says which name of a path is not there, and what is.
func lacking(v cue.Value, p []string) string {
	above, _ := valueAt(v, p[:len(p)-1])
	name := p[len(p)-1]
	var known []string
	if it, err := above.Fields(); err == nil {
		for it.Next() {
			known = append(known, it.Selector().Unquoted())
		}
	}
	text := fmt.Sprintf("%s has no %q", FormatPath(p[:len(p)-1]), name)
	if help := nearest(name, known); help != "" {
		text += "; " + help
	}
	return text
}

// settingWalk visits a field and what lies below it.
type settingWalk struct {
	*explanation
	entry *Entry
}

// maxSettings bounds an answer about a whole entry.
const maxSettings = 10_000

// spot is one place of the evaluated entry.
type spot struct {
	cue.Value
	written bool
}

func (w *settingWalk) add(v spot, s *shape, p, schemaPath []string, depth int) {
	if len(w.entry.Settings) >= maxSettings {
		return
	}
	set := Setting{Path: FormatPath(p), Schema: strings.Join(schemaPath, "."), Default: sentence(s.doc, "Default: ")}
	if v.written {
		set.Default = ""
		set.Value, set.Conflict = valueText(v.Value)
	}
	set.Places = w.places(v.Value)
	below := w.below(v, s)
	if depth == 0 || len(below) == 0 && (v.written || set.Default != "") {
		w.entry.Settings = append(w.entry.Settings, set)
	}
	for _, label := range below {
		child, name := s.child(label), label
		if s.isMap() || s.element != nil {
			name = Wildcard
		}
		at, written := valueAt(v.Value, []string{label})
		w.add(spot{at, written}, child, append(slices.Clone(p), label), append(slices.Clone(schemaPath), name), depth+1)
	}
}

// below lists what a written struct, map or list of structs holds, and the
// fields of a struct that are not written.
func (w *settingWalk) below(v spot, s *shape) []string {
	var out []string
	switch {
	case !v.written:
	case v.IncompleteKind() == cue.ListKind && s.element != nil && s.element.kind == cue.StructKind:
		for i := range elementCount(v.Value) {
			out = append(out, strconv.Itoa(i))
		}
	case s.isMap():
		it, err := v.Fields()
		for err == nil && it.Next() {
			if s.child(it.Selector().Unquoted()) != nil {
				out = append(out, it.Selector().Unquoted())
			}
		}
	case s.kind == cue.StructKind:
		out = s.names
	}
	return out
}

func elementCount(v cue.Value) int {
	n, err := v.Len().Int64()
	if err != nil {
		return 0
	}
	return int(n)
}

// valueText gives a value as JSON, or why there is none.
func valueText(v cue.Value) (text, conflict string) {
	if d, ok := v.Default(); ok {
		v = d
	}
	if errs := errors.Errors(v.Validate(cue.Concrete(true))); len(errs) > 0 {
		return "", message(errs[0])
	}
	data, err := v.MarshalJSON()
	if err != nil {
		return "", err.Error()
	}
	return string(data), ""
}

// places gives the user's lines that speak of a value: CUE knows of each of its
// conjuncts where it was written, through references and comprehensions.
func (x *explanation) places(v cue.Value) []Place {
	conjuncts := []cue.Value{v}
	if op, args := v.Expr(); op == cue.AndOp {
		conjuncts = args
	}
	var out []Place
	for _, c := range conjuncts {
		if p, ok := x.placeOf(c); ok && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Role.order(), b.Role.order()), a.Range.Compare(b.Range))
	})
	return out
}

func (r Role) order() int { return slices.Index([]Role{Sets, Defaults, Constrains}, r) }

func (x *explanation) placeOf(c cue.Value) (Place, bool) {
	pos := c.Pos()
	if !pos.IsValid() || isSchema(pos) {
		return Place{}, false
	}
	p := Place{Range: rangeAt(pos), Role: roleOf(c)}
	if e := writtenAs(c); e != nil {
		if namesSchema(e) {
			return Place{}, false
		}
		p.Range, p.Text = x.tree.spans.rangeOf(e), sourceText(e)
	}
	return p, !p.Range.IsZero()
}

// writtenAs gives the expression of a conjunct; nil when CUE does not know.
func writtenAs(c cue.Value) ast.Expr {
	switch n := c.Source().(type) {
	case *ast.Field:
		return n.Value
	case ast.Expr:
		return n
	}
	return nil
}

// namesSchema says that an expression binds a definition of the schema, as
// `service: m.#Services` does.
func namesSchema(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return false
	}
	spec, ok := id.Node.(*ast.ImportSpec)
	return ok && strings.HasPrefix(strings.Trim(spec.Path.Value, `"`), schema.ImportPath)
}

// roleOf says what one conjunct does to a value.
func roleOf(c cue.Value) Role {
	e := writtenAs(c)
	if l, ok := e.(*ast.ListLit); ok && len(l.Elts) > 0 {
		if _, open := l.Elts[len(l.Elts)-1].(*ast.Ellipsis); open {
			return Constrains
		}
	}
	if hasMark(e) {
		return Defaults
	}
	if !c.IsConcrete() {
		return Constrains
	}
	if f, ok := c.Source().(*ast.Field); ok && c.IncompleteKind() == cue.StructKind {
		if _, pattern := f.Label.(*ast.ListLit); pattern {
			return Constrains // it makes no entry
		}
	}
	return Sets
}

// hasMark says that an expression is a choice with a default, as `*"a" | "b"`.
func hasMark(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return hasMark(e.X)
	case *ast.UnaryExpr:
		return e.Op == token.MUL
	case *ast.BinaryExpr:
		return (e.Op == token.OR || e.Op == token.AND) && (hasMark(e.X) || hasMark(e.Y))
	}
	return false
}

// sourceText is what stands in a file, in one short line.
func sourceText(e ast.Expr) string {
	data, err := format.Node(e, format.Simplify())
	if err != nil {
		return ""
	}
	return shorten(strings.Join(strings.Fields(string(data)), " "))
}

// surviving evaluates a directory as one of e, whose panics cost no more than
// the directory.
func (x *explanation) surviving(d *dir, do func(*dir)) {
	defer func() {
		if v := recover(); v != nil {
			x.diags.Add(diag.New(diag.EvaluationCrash, diag.Range{}, "the evaluation of directory %q failed: %v", d.path, v))
		}
	}()
	do(d)
}
