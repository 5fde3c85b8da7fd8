package load

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler/diag"
)

// TestMove brings b before a.
func TestMove(t *testing.T) {
	const head = "package mesh\ns: { // s\n"
	for name, c := range map[string]struct{ before, after string }{
		"with its comments": {
			"\t// A\n\ta: 1 // a\n\t// B\n\tb: {\n\t\tc: 2 // c\n\t} // b\n\td: 3\n",
			"\t// B\n\tb: {\n\t\tc: 2 // c\n\t} // b\n\t// A\n\ta: 1 // a\n\td: 3\n",
		},
		"to the top":        {"\ta: 1\n\tb: 2\n", "\tb: 2\n\ta: 1\n"},
		"side by side":      {"\ta: 1, b: 2\n", ""},
		"already above":     {"\tb: 1\n\ta: 2\n", ""},
		"not in one struct": {"\ta: 1\n\tx: {\n\t\tb: 2\n\t}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := head + c.before + "}\n"
			from := strings.Index(text, "{ // s")
			l := diag.List{diag.New(diag.Syntax, diag.Range{}, "x")}
			l[0].WithFix("fix", diag.Edit{Op: diag.MoveBefore, Range: rangeOfText(text, from, "b"), To: rangeOfText(text, from, "a")})
			ResolveFixes(fstest.MapFS{"a.cue": {Data: []byte(text)}}, l)
			if l[0].Fix == nil {
				if c.after != "" {
					t.Fatal("no fix")
				}
				return
			}
			got, err := diag.Apply([]byte(text), l[0].Fix.Edits)
			if want := head + c.after + "}\n"; err != nil || c.after == "" || string(got) != want {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}
