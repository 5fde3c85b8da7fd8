package load

import (
	"fmt"
	"io/fs"
	"slices"

	"cuelang.org/go/cue/ast"

	"github.com/meshc/meshc/compiler/diag"
)

// Sources knows what stands where in the files of CUE of one tree; each file is
// read once, when it is asked for.
type Sources struct {
	fsys  fs.FS
	known map[string]*source
}

// NewSources looks at the files of fsys.
func NewSources(fsys fs.FS) *Sources { return &Sources{fsys: fsys, known: map[string]*source{}} }

// Cut gives the edit that takes the innermost field or element around a place
// out of its file. It takes no whole entry, and nothing outside of entries.
func (s *Sources) Cut(at diag.Range) (diag.Edit, bool) {
	src := sourceOf(s.fsys, s.known, at.File)
	m := src.innermost(at.Start)
	if m == nil || m.depth == 0 && m.around == nil || m.field != nil && m.depth <= entryDepth {
		return diag.Edit{}, false
	}
	e, err := src.freely().remove(m)
	return e, err == nil
}

// CutEntry takes the whole entry around a place out of its file, or what stands
// at the top level beside the entries.
func (s *Sources) CutEntry(at diag.Range) (diag.Edit, bool) {
	src := sourceOf(s.fsys, s.known, at.File)
	m := src.innermost(at.Start)
	for m != nil && (m.field == nil || m.depth > entryDepth) {
		m = m.around
	}
	if m == nil {
		return diag.Edit{}, false
	}
	free := src.freely()
	if m.depth == entryDepth {
		e, err := free.remove(m)
		return e, err == nil
	}
	start, end := free.bounds(m.node)
	return replace(free.rangeOfBytes(m.node, start, end), ""), true
}

// CutText takes an attribute out.
func (s *Sources) CutText(at diag.Range) (diag.Edit, bool) {
	src := sourceOf(s.fsys, s.known, at.File)
	if src.err != nil || at.Start.Line == 0 {
		return diag.Edit{}, false
	}
	e, err := src.removeText(at)
	return e, err == nil
}

// freely minds no comments: what is cut is never written.
func (s *source) freely() *source {
	free := *s
	free.comments = nil
	return &free
}

// Field gives the name of the innermost field around a place; "" where there
// is none, or a pattern.
func (s *Sources) Field(at diag.Range) string {
	m := sourceOf(s.fsys, s.known, at.File).innermost(at.Start)
	for m != nil && m.field == nil {
		m = m.around
	}
	if m == nil {
		return ""
	}
	name, _, err := ast.LabelName(m.field.Label)
	if err != nil {
		return ""
	}
	return name
}

// Within says that a place lies in a field of one of these names.
func (s *Sources) Within(at diag.Range, fields ...string) bool {
	for m := sourceOf(s.fsys, s.known, at.File).innermost(at.Start); m != nil; m = m.around {
		if m.field == nil {
			continue
		}
		if name, _, err := ast.LabelName(m.field.Label); err == nil && slices.Contains(fields, name) {
			return true
		}
	}
	return false
}

// Entry gives the entry around a place as "service reviews"; "" outside.
func (s *Sources) Entry(at diag.Range) string {
	m := sourceOf(s.fsys, s.known, at.File).innermost(at.Start)
	var names []string
	for ; m != nil; m = m.around {
		if m.field == nil {
			continue
		}
		name, _, err := ast.LabelName(m.field.Label)
		if err != nil {
			name = "" // a pattern, which is about every entry
		}
		names = append(names, name)
	}
	if len(names) < entryDepth || names[len(names)-entryDepth] == "" {
		return ""
	}
	return fmt.Sprintf("%s %s", names[len(names)-1], names[len(names)-entryDepth])
}

// innermost gives the smallest field or element that a place lies in.
func (s *source) innermost(at diag.Pos) *member {
	offset, err := at.Offset(s.data)
	if s.err != nil || err != nil {
		return nil
	}
	var best *member
	size := 0
	consider := func(m *member) {
		start, end := s.bounds(m.node)
		if start <= offset && offset < end && (best == nil || end-start < size) {
			best, size = m, end-start
		}
	}
	for _, m := range s.fields {
		consider(m)
	}
	for _, m := range s.elements {
		consider(m)
	}
	return best
}
