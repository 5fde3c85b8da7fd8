package load

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Field is what the schema says about one field of the language.
type Field struct {
	Path     string   `json:"path"` // names and indices that users choose as "*"
	Want     string   `json:"want"`
	Required bool     `json:"required"`
	Doc      string   `json:"doc"`
	Default  string   `json:"default,omitempty"` // as the schema documents it
	Envoy    string   `json:"envoy,omitempty"`   // the field of Envoy that it becomes
	Fields   []string `json:"fields,omitempty"`  // what lies below
}

// Describe finds a field of the language by its path from the top level, such
// as "service.routes.timeout" or "service.*.routes.*.timeout": names that users
// choose, and indices, are left out, or any name, "*" or "NAME". The error says
// how far the path is known.
func Describe(path string) (*Field, error) {
	p, err := ParsePath(path)
	if err != nil {
		return nil, err
	}
	w, err := omitted(p)
	if err == nil {
		return w.field(), nil
	}
	full, fullErr := spelledOut(p)
	switch {
	case fullErr == nil:
		return full.field(), nil
	case strings.Contains(err.Error(), "did you mean"):
		return nil, err
	}
	return nil, fullErr
}

// TopLevel gives the names of the top level in the order of the schema.
func TopLevel() []string { return slices.Clone(language().names) }

// way is a walk through the shape of the language.
type way struct {
	s        *shape
	shown    []string
	required bool
}

func (w *way) into(label string, s *shape, required bool) {
	w.s, w.shown, w.required = s, append(w.shown, label), required
}

func (w *way) field() *Field {
	f := &Field{Path: strings.Join(w.shown, "."), Want: w.s.want(), Required: w.required, Doc: w.s.doc, Fields: w.s.below()}
	f.Default, f.Envoy = sentence(f.Doc, "Default: "), sentence(f.Doc, "Envoy: ")
	return f
}

// omitted follows a path without the names that users choose.
func omitted(p []string) (*way, error) {
	w := &way{s: language()}
	for _, name := range p {
		if (name == "NAME" || name == Wildcard) && w.s.fields[name] == nil {
			switch {
			case w.s.isMap():
				w.into(Wildcard, w.s.entry, false)
				continue
			case w.s.element != nil:
				w.s = w.s.element
				continue
			}
		}
		for w.s.isMap() || w.s.element != nil {
			if w.s.element != nil {
				w.s = w.s.element
				continue
			}
			w.into(Wildcard, w.s.entry, false)
		}
		child := w.s.fields[name]
		if child == nil {
			return w, unknownPath(p, w, name)
		}
		w.into(name, child, w.s.required[name])
	}
	return w, nil
}

// spelledOut follows a path with every name and index.
func spelledOut(p []string) (*way, error) {
	w := &way{s: language()}
	for i, name := range p {
		switch {
		case w.s.isMap():
			if name != Wildcard && !w.s.admits(name, i == 1) {
				return w, fmt.Errorf("no field %q: %q cannot be a name in %s", FormatPath(p), name, FormatPath(p[:i]))
			}
			w.into(Wildcard, w.s.entry, false)
		case w.s.element != nil && isIndex(name):
			w.s = w.s.element
		default:
			if w.s.element != nil && w.s.fields == nil {
				w.s = w.s.element // an index left out
			}
			child := w.s.fields[name]
			if child == nil {
				return w, unknownPath(p, w, name)
			}
			w.into(name, child, w.s.required[name])
		}
	}
	return w, nil
}

// admits says that a map takes a name; an entry may come with its namespace.
func (s *shape) admits(name string, entry bool) bool {
	if namespace, bare, ok := strings.Cut(name, "/"); ok && entry {
		return s.admits(bare, false) && (s.key == nil || s.key.MatchString(namespace))
	}
	return s.key == nil || s.key.MatchString(name)
}

func isIndex(name string) bool {
	_, err := strconv.ParseUint(name, 10, 31)
	return err == nil || name == Wildcard
}

func unknownPath(p []string, w *way, name string) error {
	where := "the top level"
	if len(w.shown) > 0 {
		where = strings.Join(w.shown, ".")
	}
	help := nearest(name, w.s.names)
	if help != "" {
		help = "; " + help
	}
	return fmt.Errorf("no field %q: %s has no %q%s", FormatPath(p), where, name, help)
}

// below lists the fields of a struct, of the entries of a map or of the
// elements of a list.
func (s *shape) below() []string {
	switch {
	case s.element != nil:
		return s.element.below()
	case s.isMap():
		return s.entry.below()
	}
	return slices.Clone(s.names)
}

// sentenceEnd ends what the schema says of a default or of Envoy.
var sentenceEnd = regexp.MustCompile(`\.(\s+[A-Z]|\s*$)`)

// sentence gives what stands behind a word such as "Default: ", up to the full
// stop.
func sentence(doc, word string) string {
	_, rest, ok := strings.Cut(doc, word)
	if !ok {
		return ""
	}
	if at := sentenceEnd.FindStringIndex(rest); at != nil {
		rest = rest[:at[0]]
	}
	return strings.Join(strings.Fields(rest), " ")
}
