package load

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/schema"
)

// read fills a book with what the rules are, and their tests.
func (r *ruling) read(book *intent.RuleBook) {
	v, ok := r.build(nil)
	if !ok {
		return
	}
	in := r.instance(v)
	in.version(r)
	for _, name := range in.entryNames("rule") {
		if c, ok := in.entry(r, "rule", name); ok {
			book.Rules = append(book.Rules, c.policyRule())
			in.keep(c.r)
		}
	}
	for _, name := range in.entryNames("test") {
		if c, ok := in.entry(r, "test", name); ok {
			t := c.ruleTest()
			in.view(r, v.LookupPath(cue.MakePath(cue.Str("test"), cue.Str(name), cue.Str("view"))), t)
			book.Tests = append(book.Tests, t)
			in.keep(c.r)
		}
	}
	r.overMesh(book.Rules)
	slices.SortStableFunc(book.Rules, func(a, b *intent.PolicyRule) int { return a.Name.At.Compare(b.Name.At) })
	slices.SortStableFunc(book.Tests, func(a, b *intent.RuleTest) int { return a.Name.At.Compare(b.Name.At) })
	r.diags = append(r.diags, in.diags...)
}

// version holds the files to the one version of the view that there is.
func (in *instance) version(r *ruling) {
	at := in.ix.value([]string{"apiVersion"})
	said, err := in.value.LookupPath(cue.MakePath(cue.Str("apiVersion"))).String()
	switch {
	case at.IsZero():
		r.report(diag.Range{File: r.files[0].Filename}, "the rules do not say the version of the view that they read").Help = `write apiVersion: "` + schema.PolicyPath + `"`
	case err != nil || said != schema.PolicyPath:
		r.report(at, "this meshc gives rules a view of version %q alone", schema.PolicyPath)
	}
}

// inView are the fields that depend on what is judged, or are a part of a view.
var inView = []string{"deny", "warn", "view"}

// entry judges a rule or a test, but for what it finds in a view, and gives it
// for reading when it is sound.
func (in *instance) entry(r *ruling, kind, name string) (cursor, bool) {
	p := []string{kind, name}
	s := in.language.fields[kind].entry
	if in.language.fields[kind].child(name) == nil {
		r.report(in.ix.label(p), "%q cannot be the name of a %s", name, kind).Help = "it is text of one line, without quotes"
		return cursor{}, false
	}
	v := in.value.LookupPath(cue.MakePath(cue.Str(kind), cue.Str(name)))
	j := &judgement{instance: in, conflicts: map[string][]errors.Error{}, done: map[string]bool{}}
	written := in.ix.regular(p)
	for _, field := range written {
		if s.child(field) == nil {
			j.unknown(s, append(slices.Clone(p), field))
		}
	}
	sound := true
	for _, field := range s.names {
		below := v.LookupPath(cue.MakePath(cue.Str(field)))
		switch {
		case slices.Contains(inView, field):
		case below.Exists():
			sound = in.judge(below, s.fields[field], append(slices.Clone(p), field)) && sound
		case s.required[field]:
			j.missing(s, p, written, field)
		}
	}
	if kind == "rule" && !slices.Contains(written, "deny") && !slices.Contains(written, "warn") {
		j.report(p, diag.New(diag.BadRule, in.ix.label(p), "rule %q has neither `deny` nor `warn`, so that it never finds anything", name))
	}
	in.diags = append(in.diags, j.found...)
	return cursor{r: &reader{}, v: newEvaluated(v, in.ix, p), s: s}, sound && !j.found.HasErrors()
}

func (c cursor) policyRule() *intent.PolicyRule {
	out := &intent.PolicyRule{Name: c.name(), Over: c.required("over").text().V, Exemptions: each(c.entries("exemptions"), cursor.exemption)}
	if why := c.optionalText("why"); why != nil {
		out.Why = why.V
	}
	return out
}

func (c cursor) ruleTest() *intent.RuleTest {
	return &intent.RuleTest{
		Name: c.name(), Rule: c.required("rule").text(), Mesh: c.optionalText("mesh"), Base: c.optionalText("base"), Now: c.optionalText("now"),
		Says: each(c.required("says").list(), cursor.said),
	}
}

func (c cursor) said() *intent.Said {
	return &intent.Said{
		Severity: c.optionalText("severity"), Message: c.optionalText("message"),
		Service: c.optionalText("service"), Gateway: c.optionalText("gateway"), External: c.optionalText("external"), Route: c.optionalText("route"),
		At: c.label(),
	}
}

// view reads the parts of a view that a test gives.
func (in *instance) view(r *ruling, v cue.Value, t *intent.RuleTest) {
	if !v.Exists() {
		return
	}
	p := []string{"test", t.Name.V, "view"}
	for _, err := range errors.Errors(v.Validate(cue.Final())) {
		at := unquoted(err.Path())
		where := in.ix.label(at)
		if isNotAllowed(err) && len(at) > len(p) {
			d := r.report(where, "the view has no field %q there", at[len(at)-1])
			if s := policyShapes().view.at(at[len(p) : len(at)-1]); s != nil {
				d.Help = nearest(at[len(at)-1], s.names)
			}
			continue
		}
		r.report(where, "%s: %s", pathString(at), message(err))
	}
	t.Gives = in.gives(v, p)
	made, err := json.Marshal(completed(v, policyShapes().view))
	if err != nil {
		r.report(in.ix.label(p), "%s: %v", pathString(p), err)
		return
	}
	t.View = made
}

// gives names the parts of a view that are written, or that a reference brings.
func (in *instance) gives(v cue.Value, p []string) []string {
	nothing := cuecontext.New().CompileString("_")
	written := in.ix.regular(p)
	var out []string
	for _, part := range policyShapes().view.names {
		s := policyShapes().view.fields[part]
		if slices.Contains(written, part) || !reflect.DeepEqual(completed(v.LookupPath(cue.MakePath(cue.Str(part))), s), completed(nothing, s)) {
			out = append(out, part)
		}
	}
	return out
}

// at is the shape of a path; nil where there is none.
func (s *shape) at(p []string) *shape {
	for _, name := range p {
		if s = s.child(name); s == nil {
			return nil
		}
	}
	return s
}

// completed is a part of a view with all that it leaves out, which is empty.
func completed(v cue.Value, s *shape) any {
	v, _ = v.Default()
	switch {
	case s.element != nil:
		out := []any{}
		for it, err := v.List(); err == nil && it.Next(); {
			out = append(out, completed(it.Value(), s.element))
		}
		return out
	case s.kind == cue.StructKind:
		out := map[string]any{}
		for it, err := v.Fields(); s.isMap() && err == nil && it.Next(); {
			name := it.Selector().Unquoted()
			out[name] = withRef(completed(it.Value(), s.entry), name)
		}
		for _, name := range s.names {
			out[name] = completed(v.LookupPath(cue.MakePath(cue.Str(name))), s.fields[name])
		}
		return out
	case v.IsConcrete() && v.Err() == nil:
		if text, err := v.MarshalJSON(); err == nil {
			return json.RawMessage(text)
		}
	}
	switch s.kind {
	case cue.StringKind:
		return ""
	case cue.BoolKind:
		return false
	}
	return 0
}

// withRef gives an entry of a map by references what its reference says.
func withRef(entry any, ref string) any {
	fields, ok := entry.(map[string]any)
	if _, has := fields["ref"]; !ok || !has {
		return entry
	}
	namespace, name, _ := strings.Cut(ref, "/")
	for field, value := range map[string]string{"ref": ref, "namespace": namespace, "name": name} {
		if fields[field] == "" {
			fields[field] = value
		}
	}
	return entry
}
