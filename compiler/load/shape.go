package load

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"

	"github.com/meshc/meshc/compiler/target"
)

// shape is what the schema says about one place of the language, as Go data:
// which fields there are, which are required, and what a value may be.
type shape struct {
	kind     cue.Kind
	names    []string          // fields in the order of the schema
	fields   map[string]*shape // by name
	required map[string]bool
	oneOf    []string       // fields of which exactly one is written
	key      *regexp.Regexp // of a map's keys; nil for any
	entry    *shape         // of a map's values
	element  *shape         // of a list's elements
	enum     []string       // a string that is one of these
	pattern  string         // a regular expression that a string is to match
	bounds   string         // of a number, as the schema writes them
	doc      string
	field    string      // the place as compiler/target writes it: service.*.routes.*.match.[]
	row      *target.Row // of the place itself, not of one above it
}

// isMap says that the fields are the user's own names.
func (s *shape) isMap() bool { return s.entry != nil }

// child gives the shape of a field, an entry or an element; nil when the
// schema has none of that name.
func (s *shape) child(name string) *shape {
	switch {
	case s.element != nil:
		return s.element
	case s.isMap():
		if s.key != nil && !s.key.MatchString(name) {
			return nil
		}
		return s.entry
	}
	return s.fields[name]
}

// language gives the shape of the top level. It is read once and never written
// again.
var language = sync.OnceValue(readLanguage)

// readLanguage reads the shape from the embedded schema.
func readLanguage() *shape {
	inst := newLoader(&tree{}, nil).instance("", schemaFiles())
	v := cuecontext.New().BuildInstance(inst)
	top := &shape{kind: cue.StructKind, fields: map[string]*shape{}}
	for _, f := range []struct{ name, definition string }{
		{"service", "#Services"}, {"gateway", "#Gateways"}, {"external", "#Externals"}, {"mesh", "#Config"},
	} {
		def := v.LookupPath(cue.ParsePath(f.definition))
		if err := def.Err(); err != nil {
			panic(fmt.Sprintf("load: the embedded schema lacks %s: %v", f.definition, err))
		}
		top.add(f.name, shapeOf(def), false)
	}
	top.add("namespace", &shape{kind: cue.StringKind, doc: "The namespace of every entry in the directory, and below it, that has none of its own. Default: \"default\". Envoy: what \"namespace\" of each entry becomes."}, false)
	top.called("", (*shape).served)
	return top
}

// called writes down where each part stands, for people, and visits it.
func (s *shape) called(at string, visit func(*shape)) {
	s.field = at
	visit(s)
	below := at
	if below != "" {
		below += "."
	}
	for _, name := range s.names {
		s.fields[name].called(below+name, visit)
	}
	if s.entry != nil {
		s.entry.called(below+"*", visit)
	}
	if s.element != nil {
		s.element.called(below+"[]", visit)
	}
}

// served finds the row of the capability table that is about a part of the
// language.
func (s *shape) served() {
	if r := target.Find(s.field); r != nil && r.Field == s.field {
		s.row = r
	}
}

func (s *shape) add(name string, child *shape, required bool) {
	s.names = append(s.names, name)
	s.fields[name] = child
	if required {
		if s.required == nil {
			s.required = map[string]bool{}
		}
		s.required[name] = true
	}
}

// shapeOf reads one value of the schema. The schema is not recursive.
func shapeOf(v cue.Value) *shape {
	s := &shape{kind: v.IncompleteKind(), doc: docOf(v)}
	v = cue.Dereference(v)
	if s.kind&cue.ListKind != 0 {
		s.element = elementOf(v)
	}
	switch s.kind {
	case cue.StructKind:
		s.readStruct(v)
	case cue.StringKind:
		s.readString(v)
	case cue.IntKind:
		s.bounds = boundsOf(v)
	}
	return s
}

func (s *shape) readStruct(v cue.Value) {
	s.fields = map[string]*shape{}
	it, err := v.Fields(cue.Optional(true))
	if err != nil {
		panic("load: the embedded schema cannot be read: " + err.Error())
	}
	for it.Next() {
		child := shapeOf(it.Value())
		child.doc = docOf(it.Value())
		s.add(it.Selector().Unquoted(), child, it.Selector().ConstraintType() == cue.RequiredConstraint)
	}
	if s.fields["exact"] != nil { // the conditions are the unions of the language
		s.oneOf = slices.DeleteFunc(slices.Clone(s.names), func(n string) bool { return n == "not" || n == "ignoreCase" })
	}
	pit, err := v.Fields(cue.Patterns(true))
	if err != nil {
		panic("load: the embedded schema cannot be read: " + err.Error())
	}
	for pit.Next() {
		if pit.Selector().ConstraintType() == cue.PatternConstraint {
			s.entry = shapeOf(pit.Value())
			s.key = keyOf(pit.Selector().Pattern())
		}
	}
}

// keyOf gives the expression of a pattern such as [#Name]; nil for [string].
func keyOf(pattern cue.Value) *regexp.Regexp {
	if re := matchOf(pattern); re != "" {
		return regexp.MustCompile(re)
	}
	return nil
}

// matchOf gives the expression of a value =~"..."; "" for others.
func matchOf(v cue.Value) string {
	op, args := cue.Dereference(v).Expr()
	if op == cue.RegexMatchOp && len(args) == 1 {
		re, _ := args[0].String()
		return re
	}
	return ""
}

func (s *shape) readString(v cue.Value) {
	s.pattern = matchOf(v)
	op, args := v.Expr()
	if op != cue.OrOp {
		args = []cue.Value{v}
	}
	for _, a := range args {
		if text, err := a.String(); err == nil {
			s.enum = append(s.enum, text)
		}
	}
}

// boundsOf says "1 to 65535" for int & >=1 & <=65535.
func boundsOf(v cue.Value) string {
	var low, high string
	var walk func(cue.Value)
	walk = func(v cue.Value) {
		op, args := v.Expr()
		switch op {
		case cue.AndOp:
			for _, a := range args {
				walk(a)
			}
		case cue.GreaterThanEqualOp:
			low = fmt.Sprint(args[0])
		case cue.LessThanEqualOp:
			high = fmt.Sprint(args[0])
		}
	}
	walk(v)
	if low == "" || high == "" {
		return ""
	}
	return low + " to " + high
}

// elementOf gives the shape of a list's elements, also when the list is one
// side of a choice.
func elementOf(v cue.Value) *shape {
	op, args := v.Expr()
	if op == cue.OrOp {
		for _, a := range args {
			if a.IncompleteKind() == cue.ListKind {
				return elementOf(a)
			}
		}
	}
	return shapeOf(v.LookupPath(cue.MakePath(cue.AnyIndex)))
}

// docOf joins the comment lines above a field or a definition.
func docOf(v cue.Value) string {
	var lines []string
	for _, g := range v.Doc() {
		lines = append(lines, commentText(g))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func commentText(g *ast.CommentGroup) string { return strings.TrimSpace(g.Text()) }

// want says in words what a value is to be.
func (s *shape) want() string {
	switch {
	case len(s.enum) == 1:
		return fmt.Sprintf("%q", s.enum[0])
	case len(s.enum) > 1:
		quoted := make([]string, len(s.enum))
		for i, e := range s.enum {
			quoted[i] = fmt.Sprintf("%q", e)
		}
		return "one of " + strings.Join(quoted, ", ")
	case s.pattern != "":
		return "text that matches " + s.pattern
	case s.bounds != "":
		return "a whole number from " + s.bounds
	}
	return kindWords(s.kind)
}

func kindWords(k cue.Kind) string {
	switch k {
	case cue.StringKind:
		return "text in quotes"
	case cue.BoolKind:
		return "true or false"
	case cue.IntKind:
		return "a whole number"
	case cue.NumberKind:
		return "a number"
	case cue.StructKind:
		return "a struct {...}"
	case cue.ListKind:
		return "a list [...]"
	case cue.StringKind | cue.ListKind:
		return "text in quotes, or a list of them"
	}
	return "a " + k.String()
}
