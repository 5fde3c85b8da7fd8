package load

import (
	"bytes"

	"cuelang.org/go/cue/ast"

	"github.com/meshc/meshc/compiler/diag"
)

// move takes a field with its lines and its comments before another field of
// the same struct, which stands above it.
func (s *source) move(e diag.Edit) ([]diag.Edit, error) {
	m, target := s.fields[e.Range.Start], s.fields[e.To.Start]
	if m == nil || target == nil || rangeOf(m.field.Label) != e.Range || rangeOf(target.field.Label) != e.To || m.in != target.in || isChain(m.in) {
		return nil, errNotThere
	}
	start, end, ok := s.lines(m.field)
	above, _, targetOK := s.lines(target.field)
	if !ok || !targetOK || above >= start {
		return nil, errNotThere
	}
	return []diag.Edit{
		replace(s.rangeOfBytes(m.node, above, above), string(s.data[start:end])),
		replace(s.rangeOfBytes(m.node, start, end), ""),
	}, nil
}

// lines gives the lines of a field, with the comment above it. It fails where
// they hold something else.
func (s *source) lines(f *ast.Field) (start, end int, ok bool) {
	start, end = s.bounds(f)
	start -= trailingBlanks(s.data[:start])
	if !s.startsLine(start) {
		return 0, 0, false
	}
	for _, g := range ast.Comments(f) {
		at := g.Pos().Offset()
		if at -= trailingBlanks(s.data[:at]); at < start && s.startsLine(at) {
			start = at
		}
	}
	rest := s.data[end:]
	rest = rest[blanks(rest):]
	rest = bytes.TrimPrefix(rest, []byte(","))
	rest = rest[blanks(rest):]
	line, _, found := bytes.Cut(rest, []byte("\n"))
	if line = bytes.TrimSuffix(line, []byte("\r")); !found || len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
		return 0, 0, false
	}
	return start, len(s.data) - len(rest) + bytes.IndexByte(rest, '\n') + 1, true
}

func (s *source) startsLine(at int) bool { return at == 0 || s.data[at-1] == '\n' }
