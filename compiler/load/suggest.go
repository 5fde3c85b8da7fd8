package load

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
)

// nearest is the help for a name that nobody knows: the nearest known one, or
// all of a few; "" where there is nothing to say.
func nearest(name string, known []string) string {
	best := closest(name, known)
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) > 0 && len(known) <= 12:
		return "known here: " + strings.Join(known, ", ")
	}
	return ""
}

// closest gives the known name that a name is a misspelling of, perhaps; "" for
// none.
func closest(name string, known []string) string {
	best, distance := "", len(name)/3+1
	for _, k := range known {
		if d := diag.EditDistance(name, k); d <= distance && (best == "" || d < distance) {
			best, distance = k, d
		}
	}
	return best
}

// renameField gives d the fix for an unknown field where only one name can be
// meant, and is not written beside it.
func (ix *index) renameField(d *diag.Diagnostic, p []string, known []string) {
	last := len(p) - 1
	name, ok := diag.MeantWord(p[last], known)
	if !ok || slices.Contains(ix.names(p[:last]), name) && !joins(p) {
		return
	}
	d.WithFix(fmt.Sprintf("write %q", name), diag.Edit{Op: diag.Rename, Range: d.Range, Old: p[last], New: name})
}

// joins says that what stands under a misspelt name and what stands under the
// right one add up: the top level, whose names every file writes.
func joins(p []string) bool { return len(p) == 1 }

// meantValue gives d the fix for a value of which only one can be meant: a
// misspelt word, a number in quotes.
func (s *shape) meantValue(d *diag.Diagnostic, text string) {
	if word, ok := diag.MeantWord(text, s.enum); ok {
		d.WithFix(fmt.Sprintf("write %q", word), diag.Edit{Op: diag.SetText, Range: d.Range, Old: text, New: word})
		return
	}
	low, high, bounded := s.wholeBounds()
	if n, err := strconv.Atoi(text); err == nil && bounded && low <= n && n <= high {
		d.WithFix("write "+strconv.Itoa(n), diag.Edit{Op: diag.SetLiteral, Range: d.Range, New: strconv.Itoa(n)})
	}
}

// wholeBounds reads what boundsOf wrote.
func (s *shape) wholeBounds() (low, high int, ok bool) {
	n, err := fmt.Sscanf(s.bounds, "%d to %d", &low, &high)
	return low, high, n == 2 && err == nil
}
