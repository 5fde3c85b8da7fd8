package load

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/encoding/json"
	"cuelang.org/go/encoding/yaml"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/schema"
)

// topLevel are the names that the top level of a mesh has.
var topLevel = []string{"external", "gateway", "mesh", "namespace", "service"}

// topLevelKey finds a top-level name of the language in text that does not
// parse, to tell broken intent from files that are none of ours.
var topLevelKey = regexp.MustCompile(`(?m)^[\s{"]*(external|gateway|mesh|namespace|service)"?\s*:`)

func (t *tree) parseFile(f file) {
	if path.Ext(f.Path) == ".cue" {
		t.parseCUE(f)
		return
	}
	parsed, err := parseData(f)
	switch {
	case err != nil && topLevelKey.Match(f.Data):
		t.at(path.Dir(f.Path)).bad = true
		t.diags = append(t.diags, fromCUE(diag.Syntax, err)...)
	case err == nil && severalDocuments(parsed):
		t.at(path.Dir(f.Path)).bad = true
		d := diag.New(diag.Syntax, diag.Range{File: f.Path}, "%q holds several YAML documents; intent is one", f.Path)
		d.Help = "write a file for each"
		t.diags.Add(d)
	case err != nil || !namesTopLevel(parsed):
		d := diag.New(diag.NotIntent, diag.Range{File: f.Path}, "%q has none of %s at its top level, so it is not read", f.Path, strings.Join(topLevel, ", "))
		t.diags.Add(d)
	default:
		d := t.at(path.Dir(f.Path))
		d.mesh = append(d.mesh, parsed)
	}
}

func (t *tree) parseCUE(f file) {
	opts := []parser.Option{parser.ParseComments}
	if t.version != "" {
		opts = append(opts, parser.Version(t.version))
	}
	parsed, err := parser.ParseFile(f.Path, f.Data, opts...)
	d := t.at(path.Dir(f.Path))
	if err != nil {
		d.bad = true
		t.diags = append(t.diags, fromCUE(diag.Syntax, err)...)
		return
	}
	t.refuseAttributes(parsed)
	switch name := parsed.PackageName(); name {
	case schema.Package:
		d.mesh = append(d.mesh, parsed)
	case "", "_":
		t.diags.Add(diag.New(diag.WrongPackage, diag.Range{File: f.Path}, "%q has no package clause; intent is of package %s", f.Path, schema.Package))
	default:
		d.other[name] = append(d.other[name], parsed)
	}
}

// parseData reads YAML or JSON as the CUE that it means, of package mesh.
func parseData(f file) (*ast.File, error) {
	var parsed *ast.File
	if path.Ext(f.Path) == ".json" {
		expr, err := json.Extract(f.Path, f.Data)
		if err != nil {
			return nil, err
		}
		parsed = &ast.File{Filename: f.Path}
		if s, ok := expr.(*ast.StructLit); ok {
			parsed.Decls = s.Elts
		}
	} else {
		var err error
		if parsed, err = yaml.Extract(f.Path, f.Data); err != nil {
			return nil, err
		}
		parsed.Decls = fileDecls(parsed.Decls)
	}
	pkg := &ast.Package{Name: ast.NewIdent(schema.Package)}
	parsed.Decls = append([]ast.Decl{pkg}, parsed.Decls...)
	return parsed, nil
}

// fileDecls takes off the braces that the reader of YAML may put around a
// whole document.
func fileDecls(decls []ast.Decl) []ast.Decl {
	if len(decls) == 1 {
		if e, ok := decls[0].(*ast.EmbedDecl); ok {
			if s, ok := e.Expr.(*ast.StructLit); ok {
				return s.Elts
			}
		}
	}
	return decls
}

// severalDocuments says that a file holds more than one YAML document, which
// the reader gives as a list, and that one of them speaks of a mesh.
func severalDocuments(f *ast.File) bool {
	for _, d := range f.Decls {
		e, ok := d.(*ast.EmbedDecl)
		if !ok {
			continue
		}
		if list, ok := e.Expr.(*ast.ListLit); ok && slices.ContainsFunc(list.Elts, structNamesTopLevel) {
			return true
		}
	}
	return false
}

func structNamesTopLevel(e ast.Expr) bool {
	s, ok := e.(*ast.StructLit)
	return ok && namesTopLevel(&ast.File{Decls: s.Elts})
}

// namesTopLevel says that a data file speaks of a mesh.
func namesTopLevel(f *ast.File) bool {
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
		field, ok := d.(*ast.Field)
		if !ok {
			return false
		}
		name, _, err := ast.LabelName(field.Label)
		return err == nil && slices.Contains(topLevel, name)
	})
}

// refusedAttributes make the meaning of a mesh depend on more than its files,
// or would be accepted and ignored.
var refusedAttributes = []string{"embed", "extern", "if", "ignore", "meshc", "tag"}

func (t *tree) refuseAttributes(f *ast.File) {
	ast.Walk(f, func(n ast.Node) bool {
		a, ok := n.(*ast.Attribute)
		if !ok {
			return true
		}
		if name, _ := a.Split(); slices.Contains(refusedAttributes, name) {
			d := diag.New(diag.AttributeRefused, rangeOf(a), "attribute @%s is not supported", name)
			t.diags.Add(d)
		}
		return false
	}, nil)
}

// sortedKeys gives the keys of m in ascending order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
