package load

import (
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/schema"
)

// kinds are the top-level maps whose entries have a home.
var kinds = []string{"service", "gateway", "external"}

// evaluation is one run over the selected directories, parents first.
type evaluation struct {
	tree     *tree
	language *shape
	schema   []*ast.File // parsed once, like every file of the mesh
	bindings []*ast.File
	names    map[string]map[string]bool       // by directory: "kind name" of every entry it has or inherits
	homes    map[string]map[string]diag.Range // by directory: where the entries it introduces are named
	failed   map[string]bool                  // directories whose instance cannot be judged
	mesh     *intent.Mesh
	diags    diag.List
	written  map[string]bool // fields of the schema that the mesh writes; nil when nobody asks
}

// evaluate judges and decodes the request; progress is told which directory is
// next. It does not bound itself.
func evaluate(req *request, progress func(string)) *answer {
	if req.Rules != nil {
		return evaluateRules(req, progress)
	}
	e := newEvaluation(req, progress)
	if req.Field != nil {
		return e.explain(req, progress)
	}
	return e.run(req.Dir, progress)
}

func newEvaluation(req *request, progress func(string)) *evaluation {
	t := parseTree(req.Files, progress)
	t.checkImports()
	return &evaluation{
		tree: t, language: language(), schema: schemaFiles(), bindings: bindings(),
		names: map[string]map[string]bool{}, homes: map[string]map[string]diag.Range{}, failed: map[string]bool{},
		mesh: &intent.Mesh{}, diags: t.diags,
	}
}

func (e *evaluation) run(sel string, progress func(string)) *answer {
	e.checkBound(sel)
	for _, d := range e.tree.selected(sel) {
		progress(d.path)
		e.surviving(d)
	}
	sortMesh(e.mesh)
	e.mesh.Suppressions = e.tree.suppressionsOf(sel)
	return &answer{Mesh: e.mesh, Diags: unique(e.diags), Whole: e.tree.reaches || len(e.failed) > 0}
}

// surviving evaluates one directory. The evaluator of CUE has bugs of its own:
// a panic costs the directory, and not the answer about the others.
func (e *evaluation) surviving(d *dir) {
	defer func() {
		if v := recover(); v != nil {
			e.failed[d.path] = true
			crash := diag.New(diag.EvaluationCrash, diag.Range{}, "the evaluation of directory %q failed: %v", d.path, v)
			crash.Why = "the evaluator failed in " + panicOrigin()
			e.diags.Add(crash)
		}
	}()
	e.directory(d)
}

// panicOrigin names the function that panicked; it is called while recovering.
func panicOrigin() string {
	pc := make([]uintptr, 64)
	frames := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
	panicking := false
	for {
		f, more := frames.Next()
		if f.Function == "runtime.gopanic" {
			panicking = true
		} else if panicking && !strings.HasPrefix(f.Function, "runtime.") {
			return f.Function
		}
		if !more {
			return "an unknown place"
		}
	}
}

// directory evaluates one instance in a context of its own, which is forgotten
// afterwards: contexts only ever grow.
func (e *evaluation) directory(d *dir) {
	chain := e.tree.ancestors(d.path)
	parent := "" // nearest ancestor instance
	if len(chain) > 1 {
		parent = chain[len(chain)-2].path
	}
	if d.bad || e.failed[parent] {
		e.failed[d.path] = true
		return
	}
	var files []*ast.File
	for _, c := range chain {
		files = append(files, c.mesh...)
	}
	v, ok := e.build(d, files)
	if !ok {
		e.failed[d.path] = true
		return
	}
	in := &instance{evaluation: e, dir: d, value: v, ix: newIndex(d.path, files, e.tree.spans)}
	in.checkTopLevel()
	if d.path == "." {
		in.readConfig()
	}
	in.readEntries(parent)
}

// build makes the value of a directory's instance. It fails for what CUE finds
// before it evaluates, and then has reported it.
func (e *evaluation) build(d *dir, files []*ast.File) (cue.Value, bool) {
	inst := newLoader(e.tree, e.schema).instance(d.path, slices.Concat(e.bindings, files))
	if inst.Err != nil {
		if !hasCode(e.diags, diag.ImportRefused) {
			e.diags = append(e.diags, fromCUE(diag.ImportRefused, inst.Err)...)
		}
		return cue.Value{}, false
	}
	if inst.ResolutionErr != nil {
		e.diags = append(e.diags, fromCUE(diag.Syntax, inst.ResolutionErr)...)
		return cue.Value{}, false
	}
	v := cuecontext.New().BuildInstance(inst)
	if !v.LookupPath(cue.MakePath(cue.Str(kinds[0]))).Exists() {
		e.diags = append(e.diags, fromCUE(diag.UnknownReference, v.Err())...)
		return cue.Value{}, false
	}
	return v, true
}

// instance is one directory with its evaluated value.
type instance struct {
	*evaluation
	dir   *dir
	value cue.Value
	ix    *index
}

// entryNames gives the names under a kind: those of the value, and those that
// the own files write although the schema does not allow them.
func (in *instance) entryNames(kind string) []string {
	set := map[string]bool{}
	v := in.value.LookupPath(cue.MakePath(cue.Str(kind)))
	if it, err := v.Fields(); err == nil {
		for it.Next() {
			set[it.Selector().Unquoted()] = true
		}
	}
	for _, name := range in.ix.names([]string{kind}) {
		set[name] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// readEntries judges and decodes the entries whose home is this directory.
func (in *instance) readEntries(parent string) {
	inherited := in.names[parent]
	names, homes := maps.Clone(inherited), map[string]diag.Range{}
	if names == nil {
		names = map[string]bool{}
	}
	for _, kind := range kinds {
		for _, name := range in.entryNames(kind) {
			key := kind + " " + name
			if inherited[key] {
				in.checkNotNamedAgain(kind, name)
				continue
			}
			names[key] = true
			homes[key] = in.ix.label([]string{kind, name})
			in.readEntry(kind, name)
		}
	}
	in.names[in.dir.path], in.homes[in.dir.path] = names, homes
}

// checkNotNamedAgain refuses an inherited entry that the own files name.
func (in *instance) checkNotNamedAgain(kind, name string) {
	again, ok := in.ix.ownLiteral(kind, name)
	if !ok {
		return
	}
	d := diag.New(diag.DuplicateHome, again, "%s %q already has its home in a directory above", kind, name)
	d.Help = "say it there, or constrain all of them with " + kind + ": [string]: ..."
	for p := in.dir.path; p != "."; {
		p = path.Dir(p)
		if home, ok := in.homes[p][kind+" "+name]; ok {
			d.Related = []diag.Related{{Range: home, Message: "its home"}}
		}
	}
	in.diags.Add(d)
}

func (in *instance) readEntry(kind, name string) {
	p := []string{kind, name}
	entries := in.language.fields[kind]
	if entries.child(name) == nil {
		d := diag.New(diag.BadName, in.ix.label(p), "%q cannot be the name of a %s", name, kind)
		d.Help = "names are lower-case letters, digits and \"-\", at most 63"
		in.diags.Add(d)
		return
	}
	v := in.value.LookupPath(cue.MakePath(cue.Str(kind), cue.Str(name)))
	if !in.judge(v, entries.entry, p) {
		return
	}
	r := &reader{written: in.written}
	cursor{r: r, v: newEvaluated(v, in.ix, p), s: entries.entry}.decodeEntry(in.mesh, kind, in.dir.path, in.namespace())
	in.keep(r)
}

// decodeEntry adds the entry of a kind to a mesh.
func (c cursor) decodeEntry(mesh *intent.Mesh, kind, home string, namespace *intent.Value[string]) {
	switch kind {
	case "service":
		s := c.service(home, namespace)
		s.Features = c.r.features
		mesh.Services = append(mesh.Services, s)
	case "gateway":
		g := c.gateway(home, namespace)
		g.Features = c.r.features
		mesh.Gateways = append(mesh.Gateways, g)
	case "external":
		x := c.external(home, namespace)
		x.Features = c.r.features
		mesh.Externals = append(mesh.Externals, x)
	}
}

// keep reports what a reader could not read although it was judged sound.
func (in *instance) keep(r *reader) {
	if r.err != nil {
		in.diags.Add(diag.New(diag.Internal, r.at, "a value that passed the schema cannot be read: %v", r.err))
	}
}

// namespace gives the directory's namespace, if it has one.
func (in *instance) namespace() *intent.Value[string] {
	v := in.value.LookupPath(cue.MakePath(cue.Str("namespace")))
	name, err := v.String()
	if err != nil {
		return nil // checkTopLevel has reported it
	}
	return &intent.Value[string]{V: name, At: in.ix.value([]string{"namespace"})}
}

func (in *instance) readConfig() {
	p := []string{"mesh"}
	v := in.value.LookupPath(cue.MakePath(cue.Str("mesh")))
	if in.judge(v, in.language.fields["mesh"], p) {
		r := &reader{written: in.written}
		in.mesh.Config = cursor{r: r, v: newEvaluated(v, in.ix, p), s: in.language.fields["mesh"]}.config()
		in.mesh.Config.Features = r.features
		in.keep(r)
	}
}

// checkTopLevel judges what stands beside the entries: unknown names, `mesh`
// below the root, the namespace, definitions and hidden fields.
func (in *instance) checkTopLevel() {
	for _, n := range in.ix.root.patterns {
		if len(n.places) > 0 && n.places[0].own {
			in.diags.Add(diag.New(diag.UnknownTopLevel, n.places[0].label, "the top level of a mesh takes no patterns"))
		}
	}
	it, err := in.value.Fields(cue.Definitions(true), cue.Hidden(true))
	if err != nil {
		in.diags = append(in.diags, fromCUE(diag.WrongValue, err)...)
		return
	}
	for it.Next() {
		in.checkTopLevelField(it.Selector(), it.Value())
	}
}

func (in *instance) checkTopLevelField(sel cue.Selector, v cue.Value) {
	if sel.LabelType() != cue.StringLabel {
		in.checkAside(sel, v)
		return
	}
	name := sel.Unquoted()
	p := []string{name}
	s, known := in.language.fields[name]
	own, isOwn := in.ix.ownPlace(p)
	switch {
	case !known && isOwn:
		d := diag.New(diag.UnknownTopLevel, own.label, "unknown top-level name %q", name)
		d.Help = nearest(name, topLevel)
		in.ix.renameField(&d, p, topLevel)
		in.diags.Add(d)
	case name == "mesh" && isOwn && in.dir.path != ".":
		in.diags.Add(diag.New(diag.MisplacedConfig, own.label, "mesh is written in the module root and nowhere else"))
	case name == "namespace":
		in.judge(v, s, p)
	case known && s.isMap() && isOwn:
		in.checkIsMap(v, s, p)
	}
}

// checkIsMap reports what is wrong with the map of a kind itself; its entries
// are judged one by one.
func (in *instance) checkIsMap(v cue.Value, s *shape, p []string) {
	if v.IncompleteKind() == cue.StructKind {
		return
	}
	var here []errors.Error
	for _, err := range errors.Errors(v.Validate()) {
		if len(err.Path()) <= len(p) {
			here = append(here, err)
		}
	}
	if len(here) > 0 {
		in.diags.Add(in.explainCUE(p, s, here))
	}
}

// checkAside reports errors inside definitions and hidden fields of the own
// files; those that an entry uses are found there as well, at the same place.
func (in *instance) checkAside(sel cue.Selector, v cue.Value) {
	if _, own := in.ix.ownPlace([]string{sel.String()}); !own || v.Validate() == nil {
		return
	}
	for _, err := range errors.Errors(v.Validate()) {
		in.diags.Add(in.explainCUE(err.Path(), nil, []errors.Error{err}))
	}
}

// checkBound warns when the selected tree of CUE does not bind the schema, so
// that stock cue and editors would accept anything.
func (e *evaluation) checkBound(sel string) {
	for _, kind := range kinds {
		var first diag.Range
		bound := false
		for _, d := range e.tree.selected(sel) {
			for _, f := range d.mesh {
				at, b := bindsSchema(f, kind)
				bound = bound || b
				if first.IsZero() {
					first = at
				}
			}
		}
		if !bound && !first.IsZero() {
			d := diag.New(diag.SchemaNotImported, first, "%s is not bound to the schema for stock cue and editors", kind)
			d.Help = `import m "` + schema.ImportPath + `" in the root file and say ` + kind + ": m.#" + definitions[kind]
			e.diags.Add(d)
		}
	}
}

// definitions names what the kinds are bound to.
var definitions = map[string]string{"service": "Services", "gateway": "Gateways", "external": "Externals"}

// bindsSchema finds `kind: <import>.#Definition` in a file of CUE, and where
// the file speaks of the kind.
func bindsSchema(f *ast.File, kind string) (at diag.Range, bound bool) {
	if path.Ext(f.Filename) != ".cue" {
		return at, false
	}
	for _, decl := range f.Decls {
		field, ok := decl.(*ast.Field)
		if !ok {
			continue
		}
		if name, ok := literalLabel(field.Label); !ok || name != kind {
			continue
		}
		at = rangeOf(field.Label)
		ast.Walk(field.Value, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				name, _, err := ast.LabelName(s.Sel)
				bound = bound || err == nil && name == "#"+definitions[kind]
			}
			return !bound
		}, nil)
		if bound {
			return at, true
		}
	}
	return at, false
}

// sortMesh brings entries into the order of the source.
func sortMesh(m *intent.Mesh) {
	slices.SortStableFunc(m.Services, func(a, b *intent.Service) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(m.Gateways, func(a, b *intent.Gateway) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(m.Externals, func(a, b *intent.External) int { return a.At.Compare(b.At) })
}

// unique sorts and drops what two instances found at the same place.
func unique(all diag.List) diag.List {
	all.Sort()
	return slices.CompactFunc(all, func(a, b diag.Diagnostic) bool {
		return a.Code == b.Code && a.Range == b.Range && a.Message == b.Message
	})
}

func hasCode(all diag.List, c diag.Code) bool {
	return slices.ContainsFunc(all, func(d diag.Diagnostic) bool { return d.Code == c })
}
