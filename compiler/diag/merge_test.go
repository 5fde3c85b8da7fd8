package diag

import (
	"fmt"
	"strings"
	"testing"
)

func TestMergeMakesOneOfOneCause(t *testing.T) {
	shared, other := Range{"a.cue", Pos{3, 2}, Pos{3, 5}}, Range{"a.cue", Pos{4, 2}, Pos{4, 5}}
	file := Range{File: "b.cue"}
	var l List
	for i := range 6 {
		l.Add(New(BadDuration, shared, "route %d", i))
	}
	l.Add(New(BadDuration, shared, "route 0"))
	l.Add(New(BadDuration, other, "elsewhere"))
	l.Add(New(BadPercent, shared, "another code"))
	l.Add(New(InputRefused, file, "one reason"))
	l.Add(New(InputRefused, file, "another reason"))
	got := ""
	for _, d := range l.Merge() {
		got += d.Message + "\n"
		for _, r := range d.Related {
			got += "  " + r.Message + "\n"
		}
	}
	want := "route 0\n" + strings.Repeat("  also: route %d\n", 3) + "  and 2 more like it\nelsewhere\nanother code\none reason\nanother reason\n"
	if want = fmt.Sprintf(want, 1, 2, 3); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
