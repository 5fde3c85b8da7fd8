package fix

import (
	"cmp"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
)

// shift leads from places in a file after edits back to places before them.
type shift struct {
	before, after []byte
	edits         []shifted // in order
}

// shifted is one edit in bytes of the text before, and the length of its text.
type shifted struct{ start, end, length int }

// newShift takes edits that diag.Apply has taken.
func newShift(before, after []byte, edits []diag.Edit) (*shift, error) {
	s := &shift{before: before, after: after}
	for _, e := range edits {
		start, err := e.Range.Start.Offset(before)
		if err != nil {
			return nil, err
		}
		end, err := e.Range.End.Offset(before)
		if err != nil {
			return nil, err
		}
		s.edits = append(s.edits, shifted{start, end, len(e.New)})
	}
	slices.SortFunc(s.edits, func(a, b shifted) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
	s.edits = slices.Compact(s.edits)
	return s, nil
}

// back gives where a range stood before. It fails for one that touches an edit.
func (s *shift) back(r diag.Range) (diag.Range, bool) {
	if r.Start.Line == 0 {
		return r, true
	}
	start, err := r.Start.Offset(s.after)
	if err != nil {
		return r, false
	}
	end, err := r.End.Offset(s.after)
	if err != nil {
		return r, false
	}
	grown := 0 // by the edits so far
	for _, e := range s.edits {
		from, to := e.start+grown, e.start+grown+e.length // in the text after
		if start <= to && end >= from {
			return r, false
		}
		if start < from {
			break
		}
		grown += e.length - (e.end - e.start)
	}
	r.Start, r.End = diag.PosAt(s.before, start-grown), diag.PosAt(s.before, end-grown)
	return r, true
}
