package load

import (
	"maps"
	"path"
	"regexp"
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/schema"
)

// topLevel are the names that the top level of a mesh has.
var topLevel = []string{"external", "gateway", "mesh", "namespace", "service"}

// intentKinds make a data file intent when its top level names one of them.
var intentKinds = []string{"external", "gateway", "mesh", "service"}

// dirOf gives the directory of a file.
func dirOf(f file) string { return path.Dir(f.Path) }

// topLevelKey finds a top-level name of the language in text that does not
// parse, to tell broken intent from files that are none of ours.
var topLevelKey = regexp.MustCompile(`(?m)^[\s{"]*(external|gateway|mesh|service)"?\s*:`)

func (t *tree) parseFile(f file) {
	if path.Ext(f.Path) == ".cue" {
		t.parseCUE(f)
		return
	}
	t.parseData(f)
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
	t.readSuppressions(parsed)
	switch name := parsed.PackageName(); name {
	case schema.Package:
		d.mesh = append(d.mesh, parsed)
	case "", "_":
		t.diags.Add(diag.New(diag.WrongPackage, diag.Range{File: f.Path}, "%q has no package clause; intent is of package %s", f.Path, schema.Package))
	default:
		d.other[name] = append(d.other[name], parsed)
	}
}

// refusedAttributes make the meaning of a mesh depend on more than its files,
// or would be accepted and ignored.
var refusedAttributes = []string{"embed", "extern", "if", "ignore", "tag"}

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
