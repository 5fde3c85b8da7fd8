package fix

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/diag"
)

// TestBackUndoesApply edits a text at random and follows every word that no
// edit touches: where it stands after, it is led back to where it stood before.
func TestBackUndoesApply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"ab", "x", "\n", " ", "ü"}), 1, 30).Draw(t, "text"), "")
		var edits []diag.Edit
		for at := 0; at < len(before); {
			at += rapid.IntRange(1, 6).Draw(t, "gap")
			end := at + rapid.IntRange(0, 3).Draw(t, "length")
			if end > len(before) {
				break
			}
			r := diag.Range{File: "f", Start: diag.PosAt([]byte(before), at), End: diag.PosAt([]byte(before), end)}
			edits = append(edits, diag.Edit{Range: r, New: rapid.SampledFrom([]string{"", "N", "N\nN"}).Draw(t, "new")})
			at = end + 1
		}
		after, err := diag.Apply([]byte(before), edits)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newShift([]byte(before), after, edits)
		if err != nil {
			t.Fatal(err)
		}
		kept := 0
		for i := range after {
			r := diag.Range{File: "f", Start: diag.PosAt(after, i), End: diag.PosAt(after, i)}
			old, ok := s.back(r)
			if !ok {
				continue
			}
			kept++
			j, err := old.Start.Offset([]byte(before))
			if err != nil {
				t.Fatal(err)
			}
			if j >= len(before) || before[j] != after[i] {
				t.Fatalf("byte %d of %q is led to byte %d of %q", i, after, j, before)
			}
		}
		if len(edits) == 0 && kept != len(after) {
			t.Errorf("without edits %d of %d places are led back", kept, len(after))
		}
	})
}
