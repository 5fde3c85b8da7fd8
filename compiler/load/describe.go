package load

import (
	"fmt"
	"strings"
)

// Field is what the schema says about one field of the language.
type Field struct {
	Path     string   `json:"path"` // as users write it, names they choose as NAME
	Want     string   `json:"want"`
	Required bool     `json:"required"`
	Doc      string   `json:"doc"`
	Fields   []string `json:"fields,omitempty"` // what lies below
}

// Describe finds a field of the language by its path from the top level, such
// as "service.routes.timeout". Names that users choose are left out or written
// as NAME. The error says how far the path is known.
func Describe(path string) (*Field, error) {
	s, shown, required := language(), []string(nil), false
	for _, name := range strings.Split(path, ".") {
		if name == "NAME" && s.isMap() {
			s, shown, required = s.entry, append(shown, "NAME"), false
			continue
		}
		for s.isMap() || s.element != nil {
			if s.element != nil {
				s = s.element
				continue
			}
			s, shown = s.entry, append(shown, "NAME")
		}
		child := s.fields[name]
		if child == nil {
			return nil, unknownPath(path, shown, name, s)
		}
		s, shown, required = child, append(shown, name), s.required[name]
	}
	return &Field{Path: strings.Join(shown, "."), Want: s.want(), Required: required, Doc: s.doc, Fields: s.below()}, nil
}

func unknownPath(path string, shown []string, name string, s *shape) error {
	where := "the top level"
	if len(shown) > 0 {
		where = strings.Join(shown, ".")
	}
	help := nearest(name, s.names)
	if help != "" {
		help = "; " + help
	}
	return fmt.Errorf("no field %q: %s has no %q%s", path, where, name, help)
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
	return s.names
}
