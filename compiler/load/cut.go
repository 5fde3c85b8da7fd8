package load

import (
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"

	"cuelang.org/go/cue/parser"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/schema"
)

// Sources knows what stands where in the files of one tree; each file is read
// once, when it is asked for. Cuts of one Sources go together.
type Sources struct {
	fsys  fs.FS
	known map[string]*source
}

// NewSources looks at the files of fsys.
func NewSources(fsys fs.FS) *Sources { return &Sources{fsys: fsys, known: map[string]*source{}} }

func (s *Sources) innermost(at diag.Range) (*source, *member) {
	src := sourceOf(s.fsys, s.known, at.File)
	return src, src.innermost(at.Start)
}

// Cut gives the edit that takes the innermost field or element around a place
// out of its file. It takes no whole entry, and nothing outside of entries.
func (s *Sources) Cut(at diag.Range) (diag.Edit, bool) {
	src, m := s.innermost(at)
	if m == nil || !m.isField() && m.around == nil || m.isField() && m.depth <= entryDepth {
		return diag.Edit{}, false
	}
	return src.without(m)
}

// CutEntry takes the whole entry around a place out of its file, or what stands
// at the top level beside the entries.
func (s *Sources) CutEntry(at diag.Range) (diag.Edit, bool) {
	src, m := s.innermost(at)
	for m != nil && (!m.isField() || m.depth > entryDepth) {
		m = m.around
	}
	switch {
	case m == nil:
		return diag.Edit{}, false
	case m.depth == entryDepth || src.yaml != nil:
		return src.without(m)
	case src.isCUE():
		return replace(src.placeOfBytes(src.name, m.start, m.end), ""), true
	}
	start, end := src.withOneComma(m.start, m.end)
	return replace(src.placeOfBytes(src.name, start, end), ""), true
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

// CutFile leaves nothing of a file but that it is there. It takes files that do
// not parse.
func (s *Sources) CutFile(name string) (diag.Edit, bool) {
	src := sourceOf(s.fsys, s.known, name)
	if src.data == nil {
		return diag.Edit{}, false
	}
	rest := ""
	switch {
	case isJSON(name):
		rest = "null"
	case path.Ext(name) == ".cue":
		rest = "package " + packageOf(name, src.data) + "\n"
	}
	return replace(src.placeOfBytes(name, 0, len(src.data)), rest), true
}

// Aliased says that a part of a file may count in several places (YAML 1.2
// section 7.1).
func (s *Sources) Aliased(name string) bool {
	src := sourceOf(s.fsys, s.known, name)
	return src.yaml != nil && src.yaml.aliased
}

// Text gives the content of a file of the mesh; nil where it cannot be read.
func (s *Sources) Text(name string) []byte { return sourceOf(s.fsys, s.known, name).data }

// packageOf gives the package that a file of CUE is of, whatever follows.
func packageOf(name string, data []byte) string {
	f, err := parser.ParseFile(name, data, parser.PackageClauseOnly)
	if err != nil || f.PackageName() == "" {
		return schema.Package
	}
	return f.PackageName()
}

// without gives the edit that takes m out, minding no comments: what is cut is
// never written.
func (s *source) without(m *member) (diag.Edit, bool) {
	if s.yaml != nil {
		return s.yaml.without(m)
	}
	free := *s
	free.comments = nil
	e, err := free.remove(m)
	return e, err == nil
}

// Field gives the name of the innermost field around a place; "" where there
// is none, or a pattern.
func (s *Sources) Field(at diag.Range) string {
	_, m := s.innermost(at)
	for m != nil && !m.isField() {
		m = m.around
	}
	if m == nil {
		return ""
	}
	return m.name
}

// Within says that a place lies in a field of one of these names.
func (s *Sources) Within(at diag.Range, fields ...string) bool {
	for _, m := s.innermost(at); m != nil; m = m.around {
		if m.isField() && m.name != "" && slices.Contains(fields, m.name) {
			return true
		}
	}
	return false
}

// Entry gives the entry around a place as "service reviews"; "" outside, and
// in a pattern, which is about every entry.
func (s *Sources) Entry(at diag.Range) string {
	_, m := s.innermost(at)
	var names []string
	for ; m != nil; m = m.around {
		if m.isField() {
			names = append(names, m.name)
		}
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
	if s.yaml != nil {
		return smallestAround(offset, slices.Values(s.yaml.members))
	}
	best := smallestAround(offset, maps.Values(s.fields))
	if e := smallestAround(offset, maps.Values(s.elements)); best == nil || e != nil && e.end-e.start < best.end-best.start {
		return e
	}
	return best
}

func smallestAround(offset int, members iter.Seq[*member]) *member {
	var best *member
	for m := range members {
		if m.start <= offset && offset < m.end && (best == nil || m.end-m.start < best.end-best.start) {
			best = m
		}
	}
	return best
}
