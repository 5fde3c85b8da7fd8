package load

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	cuejson "cuelang.org/go/encoding/json"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/schema"
)

// evaluateRules answers a request about rules. It does not bound itself.
func evaluateRules(req *request, progress func(string)) *answer {
	r := &ruling{tree: &tree{rules: true, spans: spans{}}, names: req.Rules.Names}
	for _, f := range req.Files {
		if len(f.Data) >= largeFile {
			progress(f.Path)
		}
		r.parse(f)
	}
	r.diags = append(r.diags, r.tree.diags...)
	ans := &answer{Mesh: &intent.Mesh{}}
	if r.diags.HasErrors() {
		ans.Diags = unique(r.diags)
		return ans
	}
	reads, wrong := traceRules(r.files)
	r.diags = append(r.diags, wrong...)
	progress(schema.PolicyDir)
	if req.Rules.Runs == nil {
		ans.Book = &intent.RuleBook{Reads: reads}
		r.read(ans.Book)
	}
	for i := range req.Rules.Runs {
		ans.Verdicts = append(ans.Verdicts, r.run(&req.Rules.Runs[i]))
	}
	ans.Diags = unique(r.diags)
	return ans
}

// ruling is one run over files of rules.
type ruling struct {
	tree  *tree
	files []*ast.File
	names []string
	diags diag.List
}

func (r *ruling) report(at diag.Range, format string, args ...any) *diag.Diagnostic {
	r.diags.Add(diag.New(diag.BadRule, at, format, args...))
	return &r.diags[len(r.diags)-1]
}

// parse reads a file and takes away what it says for stock cue alone.
func (r *ruling) parse(f file) {
	parsed, err := parser.ParseFile(f.Path, f.Data, parser.ParseComments)
	if err != nil {
		r.diags = append(r.diags, fromCUE(diag.Syntax, err)...)
		return
	}
	r.tree.refuseAttributes(parsed)
	for spec := range parsed.ImportSpecs() {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil && !slices.Contains(stdlib, ast.ParseImportPath(name).Path) {
			d := diag.New(diag.ImportRefused, rangeOf(spec.Path), "import %q is refused: rules import packages of CUE only", name)
			d.Help = nearest(name, stdlib)
			r.diags.Add(d)
		}
	}
	for _, d := range parsed.Decls {
		r.topLevel(d)
	}
	astutil.Resolve(parsed, func(token.Pos, string, ...any) {}) // building says it
	r.files = append(r.files, parsed)
}

// topLevel judges what stands at the top of a file: fields of the language,
// hidden fields and definitions.
func (r *ruling) topLevel(d ast.Decl) {
	switch d := d.(type) {
	case *ast.Field:
		name, ok := literalLabel(d.Label)
		switch {
		case ok && policyShapes().view.fields[name] != nil:
			r.report(rangeOf(d.Label), "`%s` is what meshc gives rules to read", name)
		case ok && (name[0] == '_' || name[0] == '#' || policyShapes().says.fields[name] != nil):
		case ok:
			r.report(rangeOf(d.Label), "unknown top-level name %q", name).Help = nearest(name, policyShapes().says.names)
		default:
			r.report(rangeOf(d.Label), "the top level of rules takes names alone")
		}
	case *ast.EmbedDecl, *ast.Comprehension, *ast.Ellipsis:
		r.report(rangeOf(d), "the top level of rules takes fields alone")
	}
}

// bindingOfRules is unified with every instance of rules.
const bindingOfRules = `package policies

import p "meshc.dev/policy/v1:policy"

rule: p.#Rules
test: p.#Tests
`

// bindingFile names it.
const bindingFile = policyImport + "/binding"

// build makes the value of the rules with a view; without one, nothing is known
// of it but its form.
func (r *ruling) build(view json.RawMessage) (cue.Value, bool) {
	text := bindingOfRules
	var known ast.Expr
	given := map[string]json.RawMessage{}
	if view != nil {
		var err error
		if err = json.Unmarshal(view, &given); err == nil {
			known, err = cuejson.Extract("view", view)
		}
		if err != nil {
			r.diags.Add(diag.New(diag.Internal, diag.Range{}, "the view cannot be read: %v", err))
			return cue.Value{}, false
		}
	}
	for _, name := range policyShapes().view.names {
		if given[name] == nil {
			text += fmt.Sprintf("%s: p.#View.%s\n", name, name)
		}
	}
	binding, err := parser.ParseFile(bindingFile, text)
	if err != nil {
		panic("load: the binding of rules does not parse: " + err.Error())
	}
	if s, ok := known.(*ast.StructLit); ok {
		binding.Decls = append(binding.Decls, s.Elts...)
	}
	inst := newLoader(r.tree, nil).instance(schema.PolicyDir, append([]*ast.File{binding}, r.files...))
	for code, err := range map[diag.Code]error{diag.ImportRefused: inst.Err, diag.UnknownReference: inst.ResolutionErr} {
		if err != nil {
			r.diags = append(r.diags, fromCUE(code, err)...)
			return cue.Value{}, false
		}
	}
	v := cuecontext.New().BuildInstance(inst)
	if !v.LookupPath(cue.MakePath(cue.Str("rule"))).Exists() {
		r.diags = append(r.diags, fromCUE(diag.UnknownReference, v.Err())...)
		return cue.Value{}, false
	}
	return v, true
}

// instance is the value with what finds places in the files.
func (r *ruling) instance(v cue.Value) *instance {
	e := &evaluation{tree: r.tree, language: policyShapes().says}
	return &instance{evaluation: e, dir: &dir{path: schema.PolicyDir}, value: v, ix: newIndex(schema.PolicyDir, r.files, r.tree.spans)}
}

// run asks the rules of a run what they find.
func (r *ruling) run(ask *intent.RuleRun) []intent.RuleVerdict {
	v, ok := r.build(ask.View)
	if !ok {
		return nil
	}
	in := r.instance(v)
	out := []intent.RuleVerdict{}
	names := in.entryNames("rule")
	for _, name := range ask.Rules {
		verdict := intent.RuleVerdict{Rule: name}
		p := []string{"rule", name}
		if !slices.Equal(names, slices.Sorted(slices.Values(r.names))) {
			verdict.Failed.Add(diag.New(diag.RuleFailed, in.ix.label(p), "rule %q: which rules there are depends on what they judge", name))
		} else {
			in.find(v.LookupPath(cue.MakePath(cue.Str("rule"), cue.Str(name))), p, &verdict)
		}
		out = append(out, verdict)
	}
	return out
}

// find reads what a rule found.
func (in *instance) find(v cue.Value, p []string, verdict *intent.RuleVerdict) {
	for _, list := range []string{"deny", "warn"} {
		l := v.LookupPath(cue.MakePath(cue.Str(list)))
		err := l.Validate(cue.Concrete(true), cue.Final())
		if !l.Exists() {
			err = v.Validate(cue.Final()) // it may be an error that kept it away
		}
		if err != nil {
			verdict.Failed = append(verdict.Failed, failedRule(verdict.Rule, in.ix.label(p), err))
			return
		}
		if !l.Exists() {
			continue
		}
		r := &reader{}
		c := cursor{r: r, v: newEvaluated(l, in.ix, append(slices.Clone(p), list)), s: in.language.fields["rule"].entry.fields[list]}
		for _, f := range c.list() {
			verdict.Found = append(verdict.Found, f.finding(list == "warn"))
		}
		if r.err != nil {
			verdict.Failed.Add(diag.New(diag.RuleFailed, in.ix.label(p), "rule %q: %v", verdict.Rule, r.err))
			return
		}
	}
}

// failedRule says at the user's line why a rule cannot judge.
func failedRule(name string, at diag.Range, err error) diag.Diagnostic {
	first := errors.Errors(err)[0]
	for _, e := range errors.Errors(err) {
		for _, p := range positions(e) {
			if place := rangeAt(p); place.File != "" && path.Dir(place.File) == path.Dir(at.File) {
				return diag.New(diag.RuleFailed, place, "rule %q cannot be judged: %s", name, message(e))
			}
		}
	}
	return diag.New(diag.RuleFailed, at, "rule %q cannot be judged: %s", name, message(first))
}

func (c cursor) finding(warn bool) intent.RuleFinding {
	text := func(name string) string {
		if v := c.optionalText(name); v != nil {
			return v.V
		}
		return ""
	}
	return intent.RuleFinding{
		Warn: warn, Message: c.required("message").text().V, Help: text("help"),
		Service: text("service"), Gateway: text("gateway"), External: text("external"), Route: text("route"),
	}
}
