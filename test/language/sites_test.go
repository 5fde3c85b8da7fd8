package language

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"

	"github.com/meshc/meshc/compiler/load"
)

// place is one place of the language: a struct, a map of names that users
// choose, a list or a value.
type place struct {
	field string // as load.SchemaFields writes it
	want  string // what a value is to be; "" for entries and elements
	names map[string]*place
	entry *place // of a map's values, or of a list's elements
}

// isMap says that the labels below are the user's own.
func (p *place) isMap() bool { return p.entry != nil && strings.HasSuffix(p.entry.field, ".*") }

// isPlainMap says that they are, and that the values are no structs.
func (p *place) isPlainMap() bool { return p.want == aStruct && p.names == nil && p.entry == nil }

// isStruct says that the labels below are the language's.
func (p *place) isStruct() bool { return len(p.names) > 0 }

// What load.SchemaFields says of what values are to be.
const (
	aStruct = "a struct {...}"
	aList   = "a list [...]"
	aText   = "text in quotes"
	aBool   = "true or false"
	aNumber = "a number"
)

// languagePlaces reads the schema's own list of fields into a tree.
var languagePlaces = sync.OnceValue(func() *place {
	root := &place{}
	for _, f := range load.SchemaFields() {
		root.at(f.Field).want = f.Want
	}
	return root
})

func (p *place) at(field string) *place {
	for _, name := range strings.Split(field, ".") {
		below := strings.TrimPrefix(p.field+"."+name, ".")
		if name == "*" || name == "[]" {
			if p.entry == nil {
				p.entry = &place{field: below}
			}
			p = p.entry
			continue
		}
		if p.names == nil {
			p.names = map[string]*place{}
		}
		if p.names[name] == nil {
			p.names[name] = &place{field: below}
		}
		p = p.names[name]
	}
	return p
}

// site is one place in a file where a field of the language, an entry or an
// element of a list is written.
type site struct {
	file  string
	label string // as it is meant, "" of an element
	value ast.Expr
	node  ast.Node // label and value
	place *place
	above *site
}

// sites of the files of a mesh, in the order of the files' names.
func sites(t *testing.T, files map[string]string) []*site {
	t.Helper()
	var out []*site
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".cue") || strings.HasPrefix(name, "cue.mod/") {
			continue
		}
		f, err := parser.ParseFile(name, files[name])
		if err != nil {
			t.Fatal(err)
		}
		w := &siteWalk{file: name}
		w.decls(f.Decls, languagePlaces(), nil)
		out = append(out, w.out...)
	}
	return out
}

type siteWalk struct {
	file string
	out  []*site
}

func (w *siteWalk) decls(decls []ast.Decl, at *place, above *site) {
	for _, d := range decls {
		f, ok := d.(*ast.Field)
		if !ok {
			continue
		}
		name, _, err := ast.LabelName(f.Label)
		below := at.names[name]
		switch {
		case at.isMap():
			below = at.entry
		case at.isPlainMap():
			below = &place{field: at.field + ".*"}
		}
		if _, bound := f.Value.(*ast.SelectorExpr); err != nil || below == nil || bound {
			continue
		}
		w.add(&site{file: w.file, label: name, value: f.Value, node: f, place: below, above: above})
	}
}

func (w *siteWalk) add(s *site) {
	w.out = append(w.out, s)
	switch v := s.value.(type) {
	case *ast.StructLit:
		w.decls(v.Elts, s.place, s)
	case *ast.ListLit:
		for _, e := range v.Elts {
			below := s.place.entry
			if below == nil {
				below = &place{field: s.place.field + ".[]"}
			}
			w.add(&site{file: w.file, value: e, node: e, place: below, above: s})
		}
	}
}

// text is a string as it is meant; not ok for other values.
func (s *site) text() (value string, ok bool) {
	lit, ok := s.value.(*ast.BasicLit)
	if !ok {
		return "", false
	}
	value, err := literal.Unquote(lit.Value)
	return value, err == nil
}

// braces gives the struct that a site writes with braces, nil for none.
func (s *site) braces() *ast.StructLit {
	if v, ok := s.value.(*ast.StructLit); ok && v.Lbrace.IsValid() {
		return v
	}
	return nil
}

// sibling is a site of the same struct.
func (s *site) sibling(all []*site, label string) *site {
	for _, o := range all {
		if o.above == s.above && o.file == s.file && o.label == label && o != s {
			return o
		}
	}
	return nil
}

func (s *site) String() string {
	return fmt.Sprintf("%s:%d %s", s.file, s.node.Pos().Line(), s.place.field)
}
