package load

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/mod/modfile"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/schema"
)

// tree is the parsed module: every file once, grouped by directory.
type tree struct {
	module  string // module path without its major version
	version string // language version
	dirs    map[string]*dir
	diags   diag.List
	reaches bool  // a file imports a package of the module
	rules   bool  // the files are of rules, and not of a mesh
	spans   spans // of data files
	// suppressions of the files of package mesh
	suppressions []diag.Suppression
}

// dir is one directory with files of its own.
type dir struct {
	path  string
	mesh  []*ast.File            // intent: package mesh, YAML and JSON
	other map[string][]*ast.File // other packages by name, for import
	bad   bool                   // a file of it does not parse
}

// largeFile is the size from which a file is announced before it is read, so
// that it can be named when reading it takes too much.
const largeFile = 16 << 10

// parseTree parses every file of the request; progress is told of large ones.
func parseTree(files []file, progress func(string)) *tree {
	t := &tree{dirs: map[string]*dir{}, spans: spans{}}
	t.parseModule(files)
	t.checkVendored(files)
	for _, f := range files {
		if f.Path == "cue.mod" || strings.HasPrefix(f.Path, "cue.mod/") {
			continue
		}
		if len(f.Data) >= largeFile {
			progress(f.Path)
		}
		t.parseFile(f)
	}
	return t
}

// at gives the directory of path p, made when it is new.
func (t *tree) at(p string) *dir {
	d, ok := t.dirs[p]
	if !ok {
		d = &dir{path: p, other: map[string][]*ast.File{}}
		t.dirs[p] = d
	}
	return d
}

const moduleFile = "cue.mod/module.cue"

func (t *tree) parseModule(files []file) {
	i := slices.IndexFunc(files, func(f file) bool { return f.Path == moduleFile })
	if i < 0 {
		d := diag.New(diag.NotAModule, diag.Range{}, "the mesh has no %s", moduleFile)
		d.Help = "`meshc init` writes one"
		t.diags.Add(d)
		return
	}
	m, err := modfile.ParseNonStrict(files[i].Data, moduleFile)
	if err != nil {
		t.diags = append(t.diags, fromCUE(diag.NotAModule, err)...)
		return
	}
	t.module = ast.ParseImportPath(m.QualifiedModule()).Path
	if m.Language != nil {
		t.version = m.Language.Version
	}
}

// checkVendored compares the schema that the mesh carries for stock cue with
// the one that meshc uses.
func (t *tree) checkVendored(files []file) {
	embedded := schema.Files()
	seen := map[string]bool{}
	for _, f := range files {
		for _, sub := range []string{"usr", "gen"} {
			if strings.HasPrefix(f.Path, path.Join("cue.mod", sub, schema.ImportPath)+"/") {
				t.diags.Add(diag.New(diag.SchemaExtended, diag.Range{File: f.Path}, "%q adds to the schema for stock cue, and meshc ignores it", f.Path))
			}
		}
		if path.Dir(f.Path) != schema.VendorDir {
			continue
		}
		name := path.Base(f.Path)
		seen[name] = true
		if want, ok := embedded[name]; !ok || string(want) != string(f.Data) {
			t.schemaDiffers(f.Path, "%q is not the file that this meshc embeds", f.Path)
		}
	}
	missing := slices.DeleteFunc(sortedKeys(embedded), func(name string) bool { return seen[name] })
	if len(seen) > 0 && len(missing) > 0 {
		t.schemaDiffers(schema.VendorDir, "%q lacks %s, which this meshc embeds", schema.VendorDir, strings.Join(missing, ", "))
	}
}

func (t *tree) schemaDiffers(file, format string, args ...any) {
	d := diag.New(diag.SchemaDiffers, diag.Range{File: file}, format, args...)
	d.Help = "replace " + schema.VendorDir + " by the copy that `meshc init` writes"
	t.diags.Add(d)
}

// ancestors gives the directories with files of package mesh that p inherits
// from, root first, and p itself last.
func (t *tree) ancestors(p string) []*dir {
	var chain []*dir
	for {
		if d, ok := t.dirs[p]; ok && len(d.mesh) > 0 {
			chain = append(chain, d)
		}
		if p == "." {
			slices.Reverse(chain)
			return chain
		}
		p = path.Dir(p)
	}
}

// selected gives the directories with intent that selection sel takes in: sel,
// everything below it, and everything above it; parents first.
func (t *tree) selected(sel string) []*dir {
	var out []*dir
	for p, d := range t.dirs {
		if len(d.mesh) > 0 && (within(p, sel) || within(sel, p)) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *dir) int {
		return cmp.Or(cmp.Compare(depth(a.path), depth(b.path)), cmp.Compare(a.path, b.path))
	})
	return out
}

// depth of the root is 0.
func depth(p string) int {
	if p == "." {
		return 0
	}
	return 1 + strings.Count(p, "/")
}

// within says that p is parent or below it.
func within(p, parent string) bool {
	return parent == "." || p == parent || strings.HasPrefix(p, parent+"/")
}
