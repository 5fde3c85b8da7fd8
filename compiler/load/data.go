package load

import (
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/encoding/json"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/schema"
)

// spans are the exact places of nodes that a data file was turned into: the
// text of a literal in CUE has another length than what was written.
type spans map[ast.Node]diag.Range

// dataFile is one file of YAML or JSON, read as the CUE that it means.
type dataFile struct {
	name  string
	src   []byte
	tok   *token.File
	spans spans
	docs  []ast.Expr // one of JSON, any number of YAML
	diags diag.List
}

func newDataFile(f file) *dataFile {
	// One byte more than there is: an empty value may stand behind the end.
	tok := token.NewFile(f.Path, 0, len(f.Data)+1)
	tok.SetLinesForContent(f.Data)
	return &dataFile{name: f.Path, src: f.Data, tok: tok, spans: spans{}}
}

// readData reads YAML or JSON by the name of the file.
func readData(f file) *dataFile {
	d := readYAMLOrJSON(f)
	for _, doc := range d.docs {
		d.checkKeys(doc)
	}
	return d
}

func readYAMLOrJSON(f file) *dataFile {
	if isYAML(f.Path) {
		return readYAML(f)
	}
	d := newDataFile(f)
	e, err := json.Extract(f.Path, f.Data)
	if err != nil {
		d.diags = append(d.diags, fromCUE(diag.Syntax, err)...)
		return d
	}
	d.markQuoted(e)
	d.document(e)
	return d
}

// document takes in one document; empty ones say nothing.
func (d *dataFile) document(e ast.Expr) {
	if lit, ok := e.(*ast.BasicLit); e == nil || ok && lit.Kind == token.NULL {
		return
	}
	d.docs = append(d.docs, e)
}

func (d *dataFile) pos(offset int) token.Pos { return d.tok.Pos(offset, token.Blank) }

// span gives a stretch of the file, which is cut at the end of the line if it
// goes over several.
func (d *dataFile) span(start, end int) diag.Range {
	from, to := d.tok.Position(d.pos(start)), d.tok.Position(d.pos(max(start, end)))
	return diag.Range{
		File:  d.name,
		Start: diag.NewPos(from.Line, from.Column),
		End:   diag.NewPos(to.Line, to.Column),
	}
}

func (d *dataFile) mark(n ast.Node, start, end int) { d.spans[n] = d.span(start, end) }

// refuse adds a diagnostic, which the caller may add to at once.
func (d *dataFile) refuse(code diag.Code, start, end int, format string, args ...any) *diag.Diagnostic {
	d.diags.Add(diag.New(code, d.span(start, end), format, args...))
	return &d.diags[len(d.diags)-1]
}

// markQuoted notes the places of the labels and texts of JSON, whose quotes
// the reader of CUE takes off where it can.
func (d *dataFile) markQuoted(e ast.Expr) {
	ast.Walk(e, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.Ident, *ast.BasicLit:
			at := n.Pos().Offset()
			if _, bare := n.(*ast.Ident); bare || at < len(d.src) && d.src[at] != '"' {
				at-- // a label that lost its quotes stands behind the first
			}
			if at >= 0 && at < len(d.src) && d.src[at] == '"' {
				d.mark(n, at, quotedEnd(d.src, at))
			}
		}
		return true
	}, nil)
}

// checkKeys refuses a key that one mapping writes twice: most readers take the
// last, and CUE would unify the two.
func (d *dataFile) checkKeys(e ast.Expr) {
	ast.Walk(e, func(n ast.Node) bool {
		s, ok := n.(*ast.StructLit)
		if !ok {
			return true
		}
		first := map[string]ast.Label{}
		for _, decl := range s.Elts {
			f, ok := decl.(*ast.Field)
			if !ok {
				continue
			}
			name, _, err := ast.LabelName(f.Label)
			if err != nil {
				continue
			}
			if before, ok := first[name]; ok {
				d.duplicate(name, before, f.Label)
				continue
			}
			first[name] = f.Label
		}
		return true
	}, nil)
}

func (d *dataFile) duplicate(name string, first, again ast.Label) {
	at := d.rangeOf(again)
	if slices.ContainsFunc(d.diags, func(o diag.Diagnostic) bool { return o.Code == diag.DuplicateKey && o.Range == at }) {
		return // seen through an alias before
	}
	dup := diag.New(diag.DuplicateKey, at, "the key %q is written twice", name)
	dup.Help = "write it once, with all that it holds"
	dup.Related = []diag.Related{{Range: d.rangeOf(first), Message: "written here before"}}
	d.diags.Add(dup)
}

func (d *dataFile) rangeOf(n ast.Node) diag.Range { return d.spans.rangeOf(n) }

// rangeOf gives the place of a node, of CUE or of data.
func (s spans) rangeOf(n ast.Node) diag.Range {
	if r, ok := s[n]; ok {
		return r
	}
	return rangeOf(n)
}

// isIntent says that the file speaks of a mesh: a document of it names service,
// gateway, external or mesh at its top level, or namespace and nothing else.
func (d *dataFile) isIntent() bool {
	return slices.ContainsFunc(d.docs, func(e ast.Expr) bool {
		names := topLevelNames(e)
		sole := len(names) == 1 && names[0] == "namespace"
		return sole || slices.ContainsFunc(names, func(name string) bool {
			return name != "namespace" && slices.Contains(topLevel, name)
		})
	})
}

func topLevelNames(e ast.Expr) []string {
	s, ok := e.(*ast.StructLit)
	if !ok {
		return nil
	}
	var out []string
	for _, decl := range s.Elts {
		if f, ok := decl.(*ast.Field); ok {
			if name, _, err := ast.LabelName(f.Label); err == nil {
				out = append(out, name)
			}
		}
	}
	return out
}

// syntaxFile joins the documents into one file of package mesh, where they
// unify like files do.
func (d *dataFile) syntaxFile() *ast.File {
	out := &ast.File{Filename: d.name, Decls: []ast.Decl{&ast.Package{Name: ast.NewIdent(schema.Package)}}}
	for i, e := range d.docs {
		s, ok := e.(*ast.StructLit)
		if !ok {
			dg := diag.New(diag.YAMLRefused, d.rangeOf(e), "document %d is not a mapping", i+1)
			dg.Help = "intent has " + strings.Join(topLevel, ", ") + " at its top level"
			d.diags.Add(dg)
			continue
		}
		out.Decls = append(out.Decls, s.Elts...)
	}
	return out
}

// parseData reads one YAML or JSON file, and takes it in if it is intent.
func (t *tree) parseData(f file) {
	d := readData(f)
	dir := t.at(dirOf(f))
	switch {
	case d.isIntent():
		parsed := d.syntaxFile()
		for n, r := range d.spans {
			t.spans[n] = r
		}
		dir.mesh = append(dir.mesh, parsed)
		dir.bad = dir.bad || d.diags.HasErrors()
		t.diags = append(t.diags, d.diags...)
	case d.diags.HasErrors() && topLevelKey.Match(f.Data):
		dir.bad = true
		t.diags = append(t.diags, d.diags...)
	default:
		t.diags.Add(notIntent(f.Path))
	}
}

func notIntent(file string) diag.Diagnostic {
	return diag.New(diag.NotIntent, diag.Range{File: file}, "%q has none of %s at its top level, so it is not read", file, strings.Join(intentKinds, ", "))
}
