package load

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
)

// SchemaField is one field of the language, at its place in the schema.
type SchemaField struct {
	Field string // as the capability table writes it: "service.*.routes.*.timeout"
	Want  string // what a value is to be, in words
	Doc   string // of the schema
	Leaf  bool   // a value, or a list of values, and not a struct
}

// SchemaFields gives every field of the language in the order of the schema.
// Names that users choose and elements of lists are not fields of their own.
func SchemaFields() []SchemaField {
	var all []SchemaField
	var walk func(s *shape)
	walk = func(s *shape) {
		for _, name := range s.names {
			f := s.fields[name]
			if f.field == "service" || f.field == "gateway" || f.field == "external" {
				walk(f) // a map of entries, and no field
				continue
			}
			all = append(all, SchemaField{Field: f.field, Want: f.want(), Doc: f.doc, Leaf: len(f.below()) == 0})
			walk(f)
		}
		if s.entry != nil {
			walk(s.entry)
		}
		if s.element != nil {
			walk(s.element)
		}
	}
	walk(language())
	return all
}

// Written gives the fields of the schema that the mesh in fsys writes, sorted,
// and "field=value" of those values that compiler/target has a row for.
// It evaluates in this process, without limits, and is for meshes that are
// known to be harmless. The list says what keeps the mesh from being read.
func Written(ctx context.Context, fsys fs.FS) ([]string, diag.List, error) {
	found, diags, err := collect(ctx, fsys, Limits{}.withDefaults(), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("load: %w", err)
	}
	e := newEvaluation(&request{Dir: ".", Files: found}, func(string) {})
	e.written = map[string]bool{}
	diags = append(diags, e.run(".", func(string) {}).Diags...)
	return slices.Sorted(maps.Keys(e.written)), diags, nil
}
