package diag

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
)

// Fix is a change of the user's files that mends a diagnostic: with it the
// diagnostic is gone, and no other one comes.
type Fix struct {
	// Title says what it does, in the imperative: `write "owner"`.
	Title string `json:"title"`
	// Choice means that it changes what the mesh does, or that another change
	// would mend the diagnostic as well. It is applied only where the user asks
	// for this code by name.
	Choice bool   `json:"choice,omitempty"`
	Edits  []Edit `json:"edits"`
}

// Op says how an Edit is meant while its place in the text is not known yet.
type Op string

// Ops. All but Replace are turned into Replace by load.ResolveFixes, which
// knows the syntax around the place, and drops a fix whose place is not what it
// expects. A removal that would take a comment along is dropped as well.
const (
	Replace       Op = ""        // the text in Range becomes New; an empty Range inserts
	SetText       Op = "text"    // the string in Range, whose value is Old, becomes the string New
	SetLiteral    Op = "literal" // the scalar in Range becomes the source New
	Rename        Op = "rename"  // the label in Range, whose name is Old, becomes the name New
	Append        Op = "append"  // the string New follows the element of a list in Range
	Empty         Op = "empty"   // the list around the element in Range becomes []
	RemoveElement Op = "element" // the element of a list in Range goes
	RemoveField   Op = "field"   // the field whose label is in Range goes
	RemoveValue   Op = "value"   // the field whose value is in Range goes
	RemoveAround  Op = "around"  // the field around the field or the element in Range goes
	MoveBefore    Op = "move"    // the field whose label is in Range goes before the one whose label is in To
	RemoveText    Op = "remove"  // the text in Range goes, and the line when it held nothing else
)

// Edit is one change of one file.
type Edit struct {
	Range Range  `json:"range"`
	New   string `json:"newText"`
	Op    Op     `json:"op,omitempty"`
	Old   string `json:"old,omitempty"`
	To    Range  `json:"to,omitzero"`
}

// WithFix gives d the fix.
func (d *Diagnostic) WithFix(title string, edits ...Edit) *Diagnostic {
	d.Fix = &Fix{Title: title, Edits: edits}
	return d
}

// WithChoice gives d a fix that the user has to ask for.
func (d *Diagnostic) WithChoice(title string, edits ...Edit) *Diagnostic {
	d.Fix = &Fix{Title: title, Choice: true, Edits: edits}
	return d
}

// Offset gives the byte at which p stands in source. It fails for a place
// outside of the text.
func (p Pos) Offset(source []byte) (int, error) {
	at := 0
	for range p.Line - 1 {
		i := bytes.IndexByte(source[at:], '\n')
		if i < 0 {
			return 0, fmt.Errorf("the text has no line %d", p.Line)
		}
		at += i + 1
	}
	if p.Line < 1 || p.Col < 1 || int(p.Col)-1 > len(source)-at {
		return 0, fmt.Errorf("the text has no column %d in line %d", p.Col, p.Line)
	}
	return at + int(p.Col) - 1, nil
}

// PosAt gives the place of a byte of source.
func PosAt(source []byte, offset int) Pos {
	head := source[:offset]
	return NewPos(bytes.Count(head, []byte("\n"))+1, offset-bytes.LastIndexByte(head, '\n'))
}

// span is an Edit in bytes.
type span struct {
	start, end int
	text       string
}

// Apply gives source with the edits made, all of them Replace and of its file.
// Equal edits count once; edits that overlap are refused.
func Apply(source []byte, edits []Edit) ([]byte, error) {
	spans := make([]span, 0, len(edits))
	for _, e := range edits {
		if e.Op != Replace {
			return nil, fmt.Errorf("edit %q at %s has no text yet", e.Op, e.Range)
		}
		start, err := e.Range.Start.Offset(source)
		if err != nil {
			return nil, fmt.Errorf("edit at %s: %w", e.Range, err)
		}
		end, err := e.Range.End.Offset(source)
		if err != nil || end < start {
			return nil, fmt.Errorf("edit at %s: it ends outside of the text", e.Range)
		}
		spans = append(spans, span{start, end, e.New})
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end), cmp.Compare(a.text, b.text))
	})
	spans = slices.Compact(spans)
	var out []byte
	done := 0
	for i, s := range spans {
		if i > 0 && (s.start < done || s.start == spans[i-1].start) {
			return nil, fmt.Errorf("edits overlap at byte %d", s.start)
		}
		out = append(append(out, source[done:s.start]...), s.text...)
		done = s.end
	}
	return append(out, source[done:]...), nil
}

// Fixes picks from l the fixes that can be made together: those that are
// certain, and those of the codes asked for. Of fixes that touch one place the
// first one stays.
func (l List) Fixes(asked []Code) []*Fix {
	var out []*Fix
	var taken []Edit
	for i := range l {
		f := l[i].Fix
		wanted := len(asked) == 0 || slices.Contains(asked, l[i].Code)
		if f == nil || !wanted || f.Choice && len(asked) == 0 {
			continue
		}
		if slices.ContainsFunc(f.Edits, func(e Edit) bool {
			return slices.ContainsFunc(taken, e.Touches)
		}) {
			continue
		}
		out = append(out, f)
		taken = append(taken, f.Edits...)
	}
	return out
}

// Touches says that two edits cannot both be made, or are the same one.
func (e Edit) Touches(o Edit) bool {
	if e.Range.File != o.Range.File {
		return false
	}
	before := func(a, b Pos) bool { return a.Line < b.Line || a.Line == b.Line && a.Col <= b.Col }
	return before(e.Range.Start, o.Range.End) && before(o.Range.Start, e.Range.End)
}
