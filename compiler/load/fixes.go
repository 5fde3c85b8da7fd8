package load

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/encoding/json"

	"github.com/meshc/meshc/compiler/diag"
)

// ResolveFixes turns the edits of l into replacements of text in the files of
// fsys, which are read again. A fix that does not meet what it expects there is
// taken off its diagnostic: the value comes from a reference or a definition, the
// new name is taken, a comment would be lost, or the file is of YAML and the fix
// does more than write another name or value.
func ResolveFixes(fsys fs.FS, l diag.List) {
	sources := map[string]*source{}
	for i := range l {
		if l[i].Fix == nil {
			continue
		}
		fixed := *l[i].Fix
		fixed.Edits = nil
		for _, e := range l[i].Fix.Edits {
			resolved, err := sourceOf(fsys, sources, e.Range.File).resolveAll(e)
			if err != nil {
				fixed.Edits = nil
				break
			}
			fixed.Edits = append(fixed.Edits, resolved...)
		}
		l[i].Fix = nil
		if len(fixed.Edits) > 0 {
			l[i].Fix = &fixed
		}
	}
}

// Parses says whether data is of sound syntax: CUE, YAML or JSON by its name.
func Parses(name string, data []byte) error {
	switch {
	case isYAML(name):
		_, err := yamlDocuments(data)
		return err
	case isJSON(name):
		_, err := json.Extract(name, data)
		return err
	}
	_, err := parser.ParseFile(name, data, parser.ParseComments)
	return err
}

// source is one file of the mesh, with what stands where. JSON is read as the
// CUE that it is.
type source struct {
	name     string
	data     []byte
	err      error // why nothing can be resolved in it
	fields   map[diag.Pos]*member
	values   map[diag.Pos]*member // by where their value starts
	elements map[diag.Pos]*member
	literals map[diag.Pos]ast.Expr
	comments []*ast.CommentGroup
	idents   map[string]int // how often a name stands anywhere but as a label
	yaml     *yamlOutline   // of a file of YAML, which has no nodes of CUE
}

// member is a field of a struct or an element of a list.
type member struct {
	node   ast.Node   // nil in YAML
	field  *ast.Field // nil for an element, and in YAML
	in     ast.Node   // *ast.File, *ast.StructLit or *ast.ListLit; nil in YAML
	row    *yamlRow   // the mapping or sequence of YAML that it is a part of
	around *member    // the field whose value holds it; nil at the top level
	depth  int        // of fields: 1 at the top level; 0 for an element
	name   string     // of a field; "" for an element, and for a pattern
	start  int        // the byte at which it begins
	end    int        // the byte behind it
}

// isField says that it is no element of a list.
func (m *member) isField() bool { return m.depth > 0 }

func sourceOf(fsys fs.FS, known map[string]*source, name string) *source {
	s, ok := known[name]
	if !ok {
		s = readSource(fsys, name)
		known[name] = s
	}
	return s
}

func readSource(fsys fs.FS, name string) *source {
	s := &source{
		name:   name,
		fields: map[diag.Pos]*member{}, values: map[diag.Pos]*member{}, elements: map[diag.Pos]*member{},
		literals: map[diag.Pos]ast.Expr{}, idents: map[string]int{},
	}
	if path.Ext(name) != ".cue" && !isYAML(name) && !isJSON(name) {
		s.err = fmt.Errorf("%s is not a file of the mesh", name)
		return s
	}
	if s.data, s.err = fs.ReadFile(fsys, name); s.err != nil {
		return s
	}
	if isYAML(name) {
		s.outlineYAML()
		return s
	}
	file, err := parser.ParseFile(name, s.data, parser.ParseComments)
	if err != nil {
		s.err = err
		return s
	}
	s.note(file)
	s.members(file, file.Decls, nil)
	return s
}

// note gathers what is found without its surroundings.
func (s *source) note(file *ast.File) {
	labels := map[ast.Node]bool{}
	ast.Walk(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			labels[n.Label] = true
		case *ast.CommentGroup:
			s.comments = append(s.comments, n)
		case *ast.BasicLit:
			if !labels[n] {
				s.literals[rangeOf(n).Start] = n
			}
		case *ast.UnaryExpr:
			s.literals[rangeOf(n).Start] = n
		case *ast.Ident:
			if !labels[n] {
				s.idents[n.Name]++
			}
		}
		return true
	}, nil)
}

func (s *source) members(in ast.Node, decls []ast.Decl, around *member) {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			m := &member{node: d, field: d, in: in, around: around, depth: 1}
			m.start, m.end = s.bounds(d)
			if name, _, err := ast.LabelName(d.Label); err == nil {
				m.name = name
			}
			if around != nil {
				m.depth = around.depth + 1
			}
			s.fields[rangeOf(d.Label).Start] = m
			s.values[rangeOf(d.Value).Start] = m
			s.below(d.Value, m)
		case *ast.EmbedDecl:
			s.below(d.Expr, around)
		case *ast.Comprehension:
			s.below(d.Value, around)
		}
	}
}

func (s *source) below(e ast.Expr, around *member) {
	switch e := e.(type) {
	case *ast.StructLit:
		s.members(e, e.Elts, around)
	case *ast.ListLit:
		for _, x := range e.Elts {
			m := &member{node: x, in: e, around: around}
			m.start, m.end = s.bounds(x)
			s.elements[rangeOf(x).Start] = m
			s.below(x, around)
		}
	case *ast.BinaryExpr:
		s.below(e.X, around)
		s.below(e.Y, around)
	case *ast.ParenExpr:
		s.below(e.X, around)
	}
}

var errNotThere = errors.New("the place does not hold what the fix expects")

// resolveAll gives the edit as replacements of text.
func (s *source) resolveAll(e diag.Edit) ([]diag.Edit, error) {
	if e.Op == diag.MoveBefore && s.err == nil && s.isCUE() {
		return s.move(e)
	}
	one, err := s.resolve(e)
	return []diag.Edit{one}, err
}

// resolve gives the edit as a replacement of text.
func (s *source) resolve(e diag.Edit) (diag.Edit, error) {
	switch {
	case s.err != nil:
		return e, s.err
	case s.yaml != nil:
		return s.yaml.resolve(e)
	}
	at := e.Range.Start
	switch e.Op {
	case diag.Replace:
		return e, nil
	case diag.SetText:
		return s.setText(e)
	case diag.SetLiteral:
		if lit, ok := s.literals[at]; ok && rangeOf(lit) == e.Range {
			return replace(e.Range, e.New), nil
		}
	case diag.Rename:
		return s.rename(e)
	case diag.Append:
		if m, ok := s.elements[at]; ok && rangeOf(m.node) == e.Range {
			behind := e.Range
			behind.Start = behind.End
			return replace(behind, ", "+literal.String.Quote(e.New)), nil
		}
	case diag.Empty:
		if m, ok := s.elements[at]; ok && rangeOf(m.node) == e.Range {
			return s.replaceBy(m.in, "[]")
		}
	case diag.RemoveElement:
		if m, ok := s.elements[at]; ok && rangeOf(m.node) == e.Range {
			return s.remove(m)
		}
	case diag.RemoveField:
		if m, ok := s.fields[at]; ok && rangeOf(m.field.Label) == e.Range {
			return s.remove(m)
		}
	case diag.RemoveValue:
		if m, ok := s.values[at]; ok && rangeOf(m.field.Value) == e.Range {
			return s.remove(m)
		}
	case diag.RemoveAround:
		return s.removeAround(e.Range)
	case diag.RemoveText:
		return s.removeText(e.Range)
	}
	return e, errNotThere
}

func replace(at diag.Range, text string) diag.Edit { return diag.Edit{Range: at, New: text} }

func (s *source) setText(e diag.Edit) (diag.Edit, error) {
	lit, ok := s.literals[e.Range.Start].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING || rangeOf(lit) != e.Range {
		return e, errNotThere
	}
	if text, err := literal.Unquote(lit.Value); err != nil || text != e.Old {
		return e, errNotThere
	}
	return replace(e.Range, literal.String.Quote(e.New)), nil
}

// rename keeps the quotes of a quoted label. It refuses a name that a field
// beside has, and a label that something in the file refers to.
func (s *source) rename(e diag.Edit) (diag.Edit, error) {
	m, ok := s.fields[e.Range.Start]
	if !ok || rangeOf(m.field.Label) != e.Range {
		return e, errNotThere
	}
	name, isIdent, err := ast.LabelName(m.field.Label)
	if err != nil || name != e.Old || isIdent && s.idents[name] > 0 {
		return e, errNotThere
	}
	for _, d := range declsOf(m.in) {
		if f, ok := d.(*ast.Field); ok && f != m.field {
			if other, _, err := ast.LabelName(f.Label); err == nil && other == e.New {
				return e, errNotThere
			}
		}
	}
	if !isIdent || ast.StringLabelNeedsQuoting(e.New) {
		return replace(e.Range, literal.String.Quote(e.New)), nil
	}
	return replace(e.Range, e.New), nil
}

func (s *source) isCUE() bool { return path.Ext(s.name) == ".cue" }

func declsOf(in ast.Node) []ast.Decl {
	switch in := in.(type) {
	case *ast.File:
		return in.Decls
	case *ast.StructLit:
		return in.Elts
	}
	return nil
}

func (s *source) removeAround(at diag.Range) (diag.Edit, error) {
	m := s.fields[at.Start]
	if m == nil || rangeOf(m.field.Label) != at {
		m = s.elements[at.Start]
	}
	if m == nil || m.around == nil {
		return diag.Edit{}, errNotThere
	}
	return s.remove(m.around)
}
