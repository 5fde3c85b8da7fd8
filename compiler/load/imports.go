package load

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/schema"
)

// stdlib are the packages of CUE's standard library that compute; those below
// tool/ act on the machine and are refused.
var stdlib = []string{
	"crypto/ed25519", "crypto/hmac", "crypto/md5", "crypto/sha1", "crypto/sha256", "crypto/sha512",
	"encoding/base64", "encoding/csv", "encoding/hex", "encoding/json", "encoding/openapi", "encoding/toml", "encoding/yaml",
	"html", "list", "math", "math/bits", "net", "path", "regexp", "strconv", "strings", "struct",
	"text/tabwriter", "text/template", "time", "uuid",
}

// schemaFiles parses the embedded schema.
func schemaFiles() []*ast.File {
	var out []*ast.File
	files := schema.Files()
	for _, name := range sortedKeys(files) {
		f, err := parser.ParseFile(schema.ImportPath+"/"+name, files[name], parser.ParseComments)
		if err != nil {
			panic("load: the embedded schema does not parse: " + err.Error())
		}
		out = append(out, f)
	}
	return out
}

// loader resolves the imports of one instance.
type loader struct {
	tree    *tree
	ctx     *build.Context
	schema  []*ast.File
	loading []string // packages of the module that are being loaded
}

func newLoader(t *tree, schema []*ast.File) *loader {
	l := &loader{tree: t, schema: schema}
	l.ctx = build.NewContext(build.Loader(l.load))
	return l
}

// load implements build.LoadFunc. It gives nil for the standard library, which
// CUE then resolves itself.
func (l *loader) load(pos token.Pos, importPath string) *build.Instance {
	p := ast.ParseImportPath(importPath)
	switch {
	case p.Path == schema.ImportPath:
		return l.instance(schema.ImportPath, l.schema)
	case importPath == policyImport && l.tree.rules:
		return l.instance(policyImport, policyFiles())
	case slices.Contains(stdlib, p.Path):
		return nil
	}
	dir, ok := l.tree.inModule(p.Path)
	if !ok {
		return l.failed(pos, "import %q is refused", importPath)
	}
	if slices.Contains(l.loading, importPath) {
		return l.failed(pos, "import cycle through %q", importPath)
	}
	files := l.tree.packageFiles(dir, p.Qualifier)
	if len(files) == 0 {
		return l.failed(pos, "the module has no package %q in directory %q", p.Qualifier, dir)
	}
	l.loading = append(l.loading, importPath)
	defer func() { l.loading = l.loading[:len(l.loading)-1] }()
	return l.instance(importPath, files)
}

func (l *loader) failed(pos token.Pos, format string, args ...any) *build.Instance {
	inst := l.ctx.NewInstance("", nil)
	inst.Err = errors.Newf(pos, format, args...)
	return inst
}

// instance builds an instance of files; what is wrong is in its Err.
func (l *loader) instance(importPath string, files []*ast.File) *build.Instance {
	inst := l.ctx.NewInstance(importPath, nil)
	inst.ImportPath = importPath
	inst.Module = l.tree.module
	for _, f := range files {
		_ = inst.AddSyntax(f) // kept in inst.Err
	}
	_ = inst.Complete() // kept in inst.Err
	return inst
}

// inModule gives the directory of a package of this module.
func (t *tree) inModule(importPath string) (string, bool) {
	if t.module == "" {
		return "", false
	}
	if importPath == t.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.module+"/")
}

// packageFiles gives the files of a package in dir and, as CUE has it, in its
// parents.
func (t *tree) packageFiles(dir, pkg string) []*ast.File {
	var chain []string
	for p := dir; ; p = path.Dir(p) {
		chain = append(chain, p)
		if p == "." {
			break
		}
	}
	slices.Reverse(chain)
	var out []*ast.File
	for _, p := range chain {
		if d, ok := t.dirs[p]; ok {
			out = append(out, d.files(pkg)...)
		}
	}
	return out
}

func (d *dir) files(pkg string) []*ast.File {
	if pkg == schema.Package {
		return d.mesh
	}
	return d.other[pkg]
}

// checkImports refuses imports by name, at the import, and reports packages
// that nothing imports.
func (t *tree) checkImports() {
	imported := map[string]bool{} // "dir:package"
	for _, p := range sortedKeys(t.dirs) {
		d := t.dirs[p]
		files := slices.Clone(d.mesh)
		for _, name := range sortedKeys(d.other) {
			files = append(files, d.other[name]...)
		}
		for _, f := range files {
			for spec := range f.ImportSpecs() {
				t.checkImport(spec, imported)
			}
		}
	}
	for _, p := range sortedKeys(t.dirs) {
		for _, name := range sortedKeys(t.dirs[p].other) {
			t.checkImported(p, name, imported)
		}
	}
}

func (t *tree) checkImport(spec *ast.ImportSpec, imported map[string]bool) {
	importPath, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return // the parser has refused it
	}
	p := ast.ParseImportPath(importPath)
	if p.Path == schema.ImportPath || slices.Contains(stdlib, p.Path) {
		return
	}
	if dir, ok := t.inModule(p.Path); ok {
		t.reaches = true
		for ; ; dir = path.Dir(dir) {
			imported[dir+":"+p.Qualifier] = true
			if dir == "." {
				return
			}
		}
	}
	d := diag.New(diag.ImportRefused, rangeOf(spec.Path), "import %q is refused", importPath)
	d.Help = nearest(p.Path, append([]string{schema.ImportPath}, stdlib...))
	t.diags.Add(d)
}

func (t *tree) checkImported(dir, pkg string, imported map[string]bool) {
	if imported[dir+":"+pkg] {
		return
	}
	for _, f := range t.dirs[dir].other[pkg] {
		at := diag.Range{File: f.Filename}
		for _, decl := range f.Decls {
			if clause, ok := decl.(*ast.Package); ok {
				at = rangeOf(clause.Name)
			}
		}
		d := diag.New(diag.WrongPackage, at, "package %s is not imported by anything, so it is not read", pkg)
		d.Help = "intent is of package " + schema.Package
		if _, ok := diag.MeantWord(pkg, []string{schema.Package}); ok && at.Start.Line > 0 {
			d.WithFix("write package "+schema.Package, diag.Edit{Range: at, New: schema.Package})
		}
		t.diags.Add(d)
	}
}
