package load

import (
	"context"
	"fmt"
	"io/fs"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
)

// Explanation is what a mesh says about one field.
type Explanation struct {
	*Field
	Entries []Entry `json:"entries,omitempty"` // by place; one name can have a home in several namespaces
}

// Entry is a service, gateway or external, or the configuration of the mesh.
type Entry struct {
	Kind      string    `json:"kind"` // "service", "gateway", "external" or "mesh"
	Name      string    `json:"name,omitempty"`
	Namespace string    `json:"namespace,omitempty"`
	Home      string    `json:"home"`               // the directory that names it
	Settings  []Setting `json:"settings,omitempty"` // the field; of a struct, all that lies below it
	// Lacks says that a name on the path does not exist in this entry.
	Lacks string `json:"lacks,omitempty"`
}

// Setting is one field as the mesh sets it.
type Setting struct {
	Path     string  `json:"path"`
	Schema   string  `json:"schema"`             // the path with names as "*"
	Value    string  `json:"value,omitempty"`    // as JSON; "" where nothing is written
	Default  string  `json:"default,omitempty"`  // as the schema documents it, where nothing is written
	Conflict string  `json:"conflict,omitempty"` // why there is no value
	Places   []Place `json:"places,omitempty"`   // those that set it first
}

// Place is one line of the user's that speaks of a field.
type Place struct {
	Range diag.Range `json:"range"`
	Role  Role       `json:"role"`
	Text  string     `json:"text"` // what stands there, shortened
}

// Role of a place.
type Role string

// Roles: a place sets the value, gives a default for it, or constrains it.
const (
	Sets       Role = "sets"
	Defaults   Role = "default"
	Constrains Role = "constrains"
)

// Explain says what the mesh in fsys says about a field of an entry, such as
// "service.reviews.routes.rest.timeout" or "service.shop/reviews". A list of
// diagnostics says why nothing is known of some files, and then there may be no
// explanation; the error is for a field
// that the language does not have, an entry that the mesh does not have, and
// for what kept the mesh from being read.
func Explain(ctx context.Context, fsys fs.FS, opts Options, field string) (*Explanation, diag.List, error) {
	p, err := ParsePath(field)
	if err != nil {
		return nil, nil, err
	}
	w, err := spelledOut(p)
	if err != nil {
		return nil, nil, err
	}
	if err := namesAnEntry(p); err != nil {
		return nil, nil, err
	}
	ans, diags, err := ask(ctx, fsys, opts, p)
	if err != nil || ans == nil {
		return nil, diags, err
	}
	if len(ans.Entries) == 0 {
		if diags.HasErrors() {
			return nil, diags, nil // the entry may be in what could not be read
		}
		return nil, diags, &NoEntryError{Kind: p[0], Name: p[1], Help: nearest(bareName(p[1]), ans.Names)}
	}
	return &Explanation{Field: w.field(), Entries: ans.Entries}, diags, nil
}

// NoEntryError says that the mesh has no such service, gateway or external.
type NoEntryError struct{ Kind, Name, Help string }

func (e *NoEntryError) Error() string {
	text := fmt.Sprintf("the mesh has no %s %q", e.Kind, e.Name)
	if e.Help != "" {
		text += "; " + e.Help
	}
	return text
}

// namesAnEntry refuses paths that do not lead into one entry.
func namesAnEntry(p []string) error {
	if slices.Contains(p, Wildcard) || len(p) < 2 && p[0] != "mesh" || p[0] == "namespace" {
		return fmt.Errorf("field %q: no entry is named", FormatPath(p))
	}
	return nil
}

// ask evaluates the mesh for one field. There is no answer when files are
// refused or the evaluation exceeded a limit: the list says so.
func ask(ctx context.Context, fsys fs.FS, opts Options, p []string) (*answer, diag.List, error) {
	req, diags, err := newRequest(ctx, fsys, &opts)
	if err != nil {
		return nil, nil, fmt.Errorf("load: %w", err)
	}
	if diags.HasErrors() {
		return nil, diags, nil
	}
	req.Field = p
	req.Files, _ = withoutRules(req.Files)
	ans, err := answerTo(ctx, req, opts)
	if err != nil {
		return nil, nil, fmt.Errorf("load: %w", err)
	}
	diags = append(diags, ans.Diags...)
	diags.Sort()
	if hasCode(diags, diag.EvaluationLimit) {
		return nil, diags, nil
	}
	return ans, diags, nil
}
