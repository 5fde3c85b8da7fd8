package diag

import (
	"testing"

	"pgregory.net/rapid"
)

func edit(startLine, startCol, endLine, endCol int, text string) Edit {
	return Edit{Range: Range{"a.cue", NewPos(startLine, startCol), NewPos(endLine, endCol)}, New: text}
}

func TestApply(t *testing.T) {
	source := "ab\ncd\n"
	for name, c := range map[string]struct {
		edits []Edit
		want  string // "" for an error
	}{
		"nothing":               {nil, source},
		"replace and insert":    {[]Edit{edit(2, 1, 2, 2, "X"), edit(1, 3, 1, 3, "!")}, "ab!\nXd\n"},
		"over lines":            {[]Edit{edit(1, 2, 2, 2, "")}, "ad\n"},
		"the same twice":        {[]Edit{edit(1, 1, 1, 2, "X"), edit(1, 1, 1, 2, "X")}, "Xb\ncd\n"},
		"at the end":            {[]Edit{edit(3, 1, 3, 1, "e")}, "ab\ncd\ne"},
		"overlap":               {[]Edit{edit(1, 1, 2, 1, "X"), edit(1, 2, 1, 3, "Y")}, ""},
		"two texts in one spot": {[]Edit{edit(1, 1, 1, 1, "X"), edit(1, 1, 1, 1, "Y")}, ""},
		"no such line":          {[]Edit{edit(9, 1, 9, 1, "X")}, ""},
		"no such column":        {[]Edit{edit(2, 1, 2, 9, "X")}, ""},
		"backwards":             {[]Edit{edit(2, 2, 2, 1, "X")}, ""},
		"line 0":                {[]Edit{edit(0, 0, 0, 0, "X")}, ""},
		"not resolved":          {[]Edit{{Op: RemoveField, Range: Range{"a.cue", Pos{1, 1}, Pos{1, 2}}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Apply([]byte(source), c.edits)
			if (err != nil) != (c.want == "") || string(got) != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// TestApplyNeverPanics holds for edits of any place, as a damaged answer of the
// evaluation could hold.
func TestApplyNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-2, 6)
		var edits []Edit
		for range rapid.IntRange(0, 4).Draw(t, "edits") {
			edits = append(edits, edit(n.Draw(t, "l"), n.Draw(t, "c"), n.Draw(t, "l"), n.Draw(t, "c"), rapid.String().Draw(t, "new")))
		}
		_, _ = Apply([]byte(rapid.String().Draw(t, "source")), edits)
	})
}

func TestFixesArePickedOncePerPlaceAndChoicesOnlyWhenAsked(t *testing.T) {
	var l List
	add := func(c Code, choice bool, e Edit) {
		d := New(c, e.Range, "x")
		d.WithFix("fix", e)
		d.Fix.Choice = choice
		l.Add(d)
	}
	add(UnknownField, false, edit(1, 1, 1, 3, "a"))
	add(UnknownVersion, false, edit(1, 2, 1, 4, "b")) // overlaps the first
	add(UnknownVersion, false, edit(2, 1, 2, 2, "c"))
	add(WeightSum, true, edit(3, 1, 3, 2, "d"))
	l.Add(New(Syntax, Range{}, "no fix"))
	names := func(fs []*Fix) (out string) {
		for _, f := range fs {
			out += f.Edits[0].New
		}
		return out
	}
	if got := names(l.Fixes(nil)); got != "ac" {
		t.Errorf("certain ones: %q", got)
	}
	if got := names(l.Fixes([]Code{WeightSum, UnknownVersion})); got != "bcd" {
		t.Errorf("asked for: %q", got)
	}
}
