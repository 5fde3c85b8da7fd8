package load

import (
	"bytes"

	"cuelang.org/go/cue/ast"

	"github.com/meshc/meshc/compiler/diag"
)

// entryDepth is the depth of fields such as service: NAME. A removal does not
// climb to one: with its last field the entry would go.
const entryDepth = 2

// remove gives the edit that takes a field or an element out of its struct or
// list, with its comma, and with its lines when they hold nothing else. Where
// a field is alone in a chain, as in a: b: c: 1, the chain goes.
func (s *source) remove(m *member) (diag.Edit, error) {
	for isChain(m.in) {
		if m.around == nil || m.around.depth <= entryDepth {
			return s.replaceBy(m.node, "{}")
		}
		m = m.around
	}
	if m.depth == 1 {
		return diag.Edit{}, errNotThere // a whole top-level declaration
	}
	start, end := s.bounds(m.node)
	if s.holdsComment(start, end) {
		return diag.Edit{}, errNotThere
	}
	if s.isCUE() {
		start, end = s.withComma(start, end)
	} else {
		start, end = s.withOneComma(start, end)
	}
	return replace(s.rangeOfBytes(m.node, start, end), ""), nil
}

// isChain says that a struct has no braces of its own.
func isChain(in ast.Node) bool {
	st, ok := in.(*ast.StructLit)
	return ok && !st.Lbrace.IsValid()
}

func (s *source) replaceBy(n ast.Node, text string) (diag.Edit, error) {
	start, end := s.bounds(n)
	if s.holdsComment(start, end) {
		return diag.Edit{}, errNotThere
	}
	return replace(s.rangeOfBytes(n, start, end), text), nil
}

func (s *source) bounds(n ast.Node) (start, end int) {
	return n.Pos().Offset(), n.End().Offset()
}

// holdsComment says that a comment stands between two bytes. Comments before
// and behind stay where they are.
func (s *source) holdsComment(start, end int) bool {
	for _, g := range s.comments {
		if at := g.Pos().Offset(); start < at && at < end {
			return true
		}
	}
	return false
}

// withComma widens a removal: to the comma and the blanks behind; to whole
// lines when nothing but blanks would be left on them; for the last one of a
// row, to the comma before.
func (s *source) withComma(start, end int) (int, int) {
	behind := end + blanks(s.data[end:])
	comma := behind < len(s.data) && s.data[behind] == ','
	if comma {
		behind++
		behind += blanks(s.data[behind:])
	}
	before := start - trailingBlanks(s.data[:start])
	firstOnLine := before == 0 || s.data[before-1] == '\n'
	lastOnLine := behind == len(s.data) || s.data[behind] == '\n' || bytes.HasPrefix(s.data[behind:], []byte("\r\n"))
	comment := bytes.HasPrefix(s.data[behind:], []byte("//"))
	switch {
	case firstOnLine && lastOnLine:
		next := bytes.IndexByte(s.data[behind:], '\n')
		if next < 0 {
			return before, len(s.data)
		}
		return before, behind + next + 1
	case comment && firstOnLine:
		return start, behind
	case comma && !lastOnLine:
		return start, behind
	case before > 0 && s.data[before-1] == ',':
		return before - 1, end
	}
	return start, end
}

// withOneComma widens a removal in JSON, whose last member has no comma: to the
// comma behind, or to the comma before the last one.
func (s *source) withOneComma(start, end int) (int, int) {
	const space = " \t\r\n"
	if rest := bytes.TrimLeft(s.data[end:], space); bytes.HasPrefix(rest, []byte(",")) {
		return start, len(s.data) - len(rest) + 1
	}
	if head := bytes.TrimRight(s.data[:start], space); bytes.HasSuffix(head, []byte(",")) {
		return len(head) - 1, end
	}
	return start, end
}

func blanks(b []byte) int { return len(b) - len(bytes.TrimLeft(b, " \t")) }

func trailingBlanks(b []byte) int { return len(b) - len(bytes.TrimRight(b, " \t")) }

// removeText takes a stretch of text out, and the blanks before it; its line
// too, when it held nothing else.
func (s *source) removeText(at diag.Range) (diag.Edit, error) {
	start, err := at.Start.Offset(s.data)
	if err != nil {
		return diag.Edit{}, err
	}
	end, err := at.End.Offset(s.data)
	if err != nil || end < start {
		return diag.Edit{}, errNotThere
	}
	start -= trailingBlanks(s.data[:start])
	rest := end + blanks(s.data[end:])
	if (start == 0 || s.data[start-1] == '\n') && rest < len(s.data) && s.data[rest] == '\n' {
		end = rest + 1
	}
	return replace(s.placeOfBytes(at.File, start, end), ""), nil
}

func (s *source) rangeOfBytes(n ast.Node, start, end int) diag.Range {
	return s.placeOfBytes(n.Pos().Filename(), start, end)
}

func (s *source) placeOfBytes(name string, start, end int) diag.Range {
	return diag.Range{File: name, Start: diag.PosAt(s.data, start), End: diag.PosAt(s.data, end)}
}
