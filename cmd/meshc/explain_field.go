package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/effective"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
)

// fieldExplanation is what `meshc explain FIELD` prints: the schema's words,
// and, for a path that names an entry of a mesh, what is in force there.
type fieldExplanation struct {
	*load.Field
	Entries []entryExplanation `json:"entries,omitempty"`
}

type entryExplanation struct {
	Kind      string            `json:"kind"`
	Name      string            `json:"name,omitempty"`
	Namespace string            `json:"namespace,omitempty"`
	Home      string            `json:"home"`
	Lacks     string            `json:"lacks,omitempty"`
	Values    []effective.Value `json:"values,omitempty"`
}

// explainField explains a path of the language. dir is "" where the user named
// no mesh: then the mesh here is asked, if there is one and the path leads
// into it.
func explainField(ctx context.Context, w, errw io.Writer, field, dir, format string) error {
	x, err := fieldInMesh(ctx, errw, field, dir)
	if err != nil {
		return err
	}
	if x == nil {
		described, err := load.Describe(field)
		if err != nil {
			return err
		}
		x = &fieldExplanation{Field: described}
	}
	if format == "json" {
		return writeJSON(w, "FieldExplanation", x)
	}
	text := fieldText(x)
	if format == "markdown" {
		text = "```text\n" + text + "```\n"
	}
	_, err = io.WriteString(w, text)
	return err
}

// fieldInMesh gives what the mesh says; nil when it is not asked.
func fieldInMesh(ctx context.Context, errw io.Writer, field, dir string) (*fieldExplanation, error) {
	root, sub, err := findModule(orHere(dir))
	if err != nil {
		if dir == "" {
			return nil, nil // the schema answers
		}
		return nil, err
	}
	fsys := os.DirFS(root)
	found, diags, err := load.Explain(ctx, fsys, load.Options{Dir: sub}, field)
	if err != nil {
		return nil, orDescribed(err, field, dir)
	}
	if found == nil {
		return nil, fmt.Errorf("the mesh cannot be read: %s", firstError(diags))
	}
	m, err := modelFor(ctx, errw, fsys, sub, found, diags)
	if err != nil {
		return nil, err
	}
	x := &fieldExplanation{Field: found.Field}
	lacks := ""
	for _, e := range found.Entries {
		if e.Lacks != "" {
			lacks = e.Lacks
		}
		x.Entries = append(x.Entries, entryExplanation{e.Kind, e.Name, e.Namespace, e.Home, e.Lacks, effective.Entry(e, m)})
	}
	if len(x.Entries) == 1 && lacks != "" {
		return nil, errors.New(lacks)
	}
	return x, nil
}

func orHere(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}

// orDescribed gives way to the schema where a path leaves out the names that
// users choose, and so leads into no entry.
func orDescribed(err error, field, dir string) error {
	var missing *load.NoEntryError
	if dir != "" && !errors.As(err, &missing) {
		return err
	}
	described, descErr := load.Describe(field)
	switch {
	case errors.As(err, &missing) && (descErr != nil || strings.Count(described.Path, ".") <= strings.Count(field, ".")):
		return err
	case descErr != nil:
		return descErr
	}
	return nil
}

func firstError(diags diag.List) string {
	for _, d := range diags {
		if d.Severity == diag.Error {
			return strings.TrimPrefix(d.Range.String()+": "+d.Message, ": ")
		}
	}
	return "nothing is known of it"
}

// modelFor compiles the mesh where defaults depend on it; a mesh with mistakes
// has none.
func modelFor(ctx context.Context, errw io.Writer, fsys fs.FS, sub string, x *load.Explanation, diags diag.List) (*model.Mesh, error) {
	if !needsModel(x) || diags.HasErrors() {
		return nil, nil
	}
	res, err := compiler.Compile(ctx, fsys, compiler.Options{Dir: sub})
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	if res.Model == nil {
		fmt.Fprintf(errw, "the mesh has mistakes (meshc vet), so defaults that depend on it are given in words\n")
	}
	return res.Model, nil
}

func needsModel(x *load.Explanation) bool {
	for _, e := range x.Entries {
		for _, s := range e.Settings {
			if s.Value == "" && s.Conflict == "" {
				return true
			}
		}
	}
	return false
}

// fieldText prints what is in force, and then what the language says.
func fieldText(x *fieldExplanation) string {
	var b strings.Builder
	for _, e := range x.Entries {
		e.text(&b, len(x.Entries) > 1)
	}
	required := ""
	if x.Required {
		required = ", required"
	}
	fmt.Fprintf(&b, "%s: %s%s\n", x.Path, x.Want, required)
	if x.Doc != "" {
		fmt.Fprintf(&b, "\n%s\n", x.Doc)
	}
	if len(x.Fields) > 0 {
		fmt.Fprintf(&b, "\nFields: %s\n", strings.Join(x.Fields, ", "))
	}
	return b.String()
}

func (e *entryExplanation) text(b *strings.Builder, heading bool) {
	if heading {
		fmt.Fprintf(b, "%s %s/%s, home %s\n", e.Kind, e.Namespace, e.Name, e.Home)
	}
	if e.Lacks != "" {
		fmt.Fprintf(b, "%s\n", e.Lacks)
	}
	for i, v := range e.Values {
		whole := i == 0 && len(e.Values) > 1
		valueText(b, v, whole)
	}
	b.WriteByte('\n')
}

// valueText prints one field; of a whole entry only where it is written, since
// its fields follow.
func valueText(b *strings.Builder, v effective.Value, whole bool) {
	switch {
	case whole:
		fmt.Fprintf(b, "%s\n", v.Path)
	case v.Conflict != "":
		fmt.Fprintf(b, "%s has no value: %s\n", v.Path, v.Conflict)
	case v.Effective != "":
		fmt.Fprintf(b, "%s = %s\n", v.Path, v.Effective)
	default:
		fmt.Fprintf(b, "%s is not written\n", v.Path)
	}
	for _, p := range v.Places {
		verb := map[load.Role]string{load.Sets: "set", load.Defaults: "default", load.Constrains: "constrained"}[p.Role]
		fmt.Fprintf(b, "    %s at %s", verb, p.Range)
		if !whole && (p.Role != load.Sets || p.Text != v.Effective) {
			fmt.Fprintf(b, ": %s", p.Text)
		}
		b.WriteByte('\n')
	}
	switch {
	case v.BuiltIn && v.Default == v.Effective:
		fmt.Fprintf(b, "    built-in default\n")
	case v.BuiltIn && v.Default != "":
		fmt.Fprintf(b, "    built-in default: %s\n", v.Default)
	}
}
