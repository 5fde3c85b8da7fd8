package load

import (
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler/diag"
)

// TestResolveFixes gives the text before and after. The place is where X
// stands, which is a byte of the label, value or element meant.
func TestResolveFixes(t *testing.T) {
	const head = "package mesh\nservice: a: {\n"
	for name, c := range map[string]struct {
		op           diag.Op
		source, mark string // mark is the text of the place
		old, new     string
		want         string // "" when there is no fix
	}{
		"a field alone on its line":        {diag.RemoveField, "\towner: 1\n\thost: 2\n", "owner", "", "", "\thost: 2\n"},
		"over several lines":               {diag.RemoveField, "\tports: {\n\t\ta: 1\n\t}\n\thost: 2\n", "ports", "", "", "\thost: 2\n"},
		"the last of a row":                {diag.RemoveField, "\tports: {a: 1, b: 2}\n", "b", "", "", "\tports: {a: 1}\n"},
		"the first of a row":               {diag.RemoveField, "\tports: {a: 1, b: 2}\n", "a", "", "", "\tports: {b: 2}\n"},
		"the only one":                     {diag.RemoveField, "\tports: {a: 1}\n", "a", "", "", "\tports: {}\n"},
		"a chain":                          {diag.RemoveField, "\tports: x: 1\n\thost: 2\n", "x", "", "", "\thost: 2\n"},
		"a comment behind stays":           {diag.RemoveField, "\towner: 1 // why\n\thost: 2\n", "owner", "", "", "\t// why\n\thost: 2\n"},
		"a comment above stays":            {diag.RemoveField, "\t// why\n\towner: 1\n\thost: 2\n", "owner", "", "", "\t// why\n\thost: 2\n"},
		"a comment inside holds it":        {diag.RemoveField, "\tports: {\n\t\t// why\n\t\ta: 1\n\t}\n", "ports", "", "", ""},
		"an attribute goes with its field": {diag.RemoveField, "\towner: 1 @x(y)\n\thost: 2\n", "owner", "", "", "\thost: 2\n"},
		"lines end in CR LF":               {diag.RemoveField, "\towner: 1\r\n\thost: 2\r\n", "owner", "", "", "\thost: 2\r\n"},
		"an element between":               {diag.RemoveElement, "\tx: [\"a\", \"b\", \"c\"]\n", "\"b\"", "", "", "\tx: [\"a\", \"c\"]\n"},
		"an element at the end":            {diag.RemoveElement, "\tx: [\"a\", \"b\"]\n", "\"b\"", "", "", "\tx: [\"a\"]\n"},
		"an element on its line":           {diag.RemoveElement, "\tx: [\n\t\t\"a\",\n\t\t\"b\",\n\t]\n", "\"b\"", "", "", "\tx: [\n\t\t\"a\",\n\t]\n"},
		"a list":                           {diag.Empty, "\tx: [\"a\", \"b\"]\n", "\"a\"", "", "", "\tx: []\n"},
		"what holds an element":            {diag.RemoveAround, "\tx: [\"a\", \"b\"]\n\ty: 1\n", "\"a\"", "", "", "\ty: 1\n"},
		"what holds a field":               {diag.RemoveAround, "\tx: {a: {b: 1}}\n\ty: 1\n", "b", "", "", "\tx: {}\n\ty: 1\n"},
		"by its value":                     {diag.RemoveValue, "\tx: {a: 1, b: \"v\"}\n", "\"v\"", "", "", "\tx: {a: 1}\n"},
		"a text":                           {diag.SetText, "\tx: \"old\"\n", "\"old\"", "old", "a\"b", "\tx: \"a\\\"b\"\n"},
		"a raw text":                       {diag.SetText, "\tx: #\"old\"#\n", "#\"old\"#", "old", "new", "\tx: \"new\"\n"},
		"another text than was said":       {diag.SetText, "\tx: \"other\"\n", "\"other\"", "old", "new", ""},
		"a reference and no text":          {diag.SetText, "\tx: _y\n", "_y", "old", "new", ""},
		"a text with a value in it":        {diag.SetText, "\tx: \"\\(_y)\"\n", "\"\\(_y)\"", "old", "new", ""},
		"a label":                          {diag.Rename, "\townr: 1\n", "ownr", "ownr", "owner", "\towner: 1\n"},
		"a label in quotes":                {diag.Rename, "\t\"ownr\": 1\n", "\"ownr\"", "ownr", "owner", "\t\"owner\": 1\n"},
		"a label that needs quotes":        {diag.Rename, "\ta: 1\n", "a", "a", "x/y", "\t\"x/y\": 1\n"},
		"a name that is taken":             {diag.Rename, "\townr: 1\n\towner: 2\n", "ownr", "ownr", "owner", ""},
		"a label that is referred to":      {diag.Rename, "\townr: 1\n\thost: ownr\n", "ownr", "ownr", "owner", ""},
		"a pattern":                        {diag.Rename, "\t[string]: 1\n", "[string]", "x", "y", ""},
		"behind an element":                {diag.Append, "\tx: [\"a\"]\n", "\"a\"", "", "b", "\tx: [\"a\", \"b\"]\n"},
		"a number":                         {diag.SetLiteral, "\tx: 33.333\n", "33.333", "", "33.33", "\tx: 33.33\n"},
		"an attribute":                     {diag.RemoveText, "\tx: 1 @meshc(a=b)\n", "@meshc(a=b)", "", "", "\tx: 1\n"},
		"an attribute on its line":         {diag.RemoveText, "\tx: 1\n\t@meshc(a=b)\n", "@meshc(a=b)", "", "", "\tx: 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			text := head + c.source + "}\n"
			fsys := fstest.MapFS{"a.cue": {Data: []byte(text)}}
			l := diag.List{diag.New(diag.Syntax, diag.Range{}, "x")}
			l[0].WithFix("fix", diag.Edit{Op: c.op, Range: rangeOfText(text, len(head), c.mark), Old: c.old, New: c.new})
			ResolveFixes(fsys, l)
			if l[0].Fix == nil {
				if c.want != "" {
					t.Fatal("no fix")
				}
				return
			}
			got, err := diag.Apply([]byte(text), l[0].Fix.Edits)
			if err != nil {
				t.Fatal(err)
			}
			if want := head + c.want + "}\n"; c.want == "" || string(got) != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// rangeOfText gives the place of the first mark behind a byte.
func rangeOfText(text string, from int, mark string) diag.Range {
	s := &source{data: []byte(text)}
	for i := from; ; i++ {
		if text[i:i+len(mark)] == mark {
			return s.placeOfBytes("a.cue", i, i+len(mark))
		}
	}
}

// TestRemovalKeepsTheEntry does not let a service go with its last field.
func TestRemovalKeepsTheEntry(t *testing.T) {
	const text = "package mesh\nservice: a: faults: slow: on: \"x\"\n"
	l := diag.List{diag.New(diag.Syntax, diag.Range{}, "x")}
	l[0].WithFix("fix", diag.Edit{Op: diag.RemoveField, Range: rangeOfText(text, 0, "slow")})
	ResolveFixes(fstest.MapFS{"a.cue": {Data: []byte(text)}}, l)
	got, err := diag.Apply([]byte(text), l[0].Fix.Edits)
	if want := "package mesh\nservice: a: {}\n"; err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestFixesOfOtherFilesAreDropped(t *testing.T) {
	l := diag.List{diag.New(diag.Syntax, diag.Range{}, "x"), diag.New(diag.Syntax, diag.Range{}, "y"), diag.New(diag.Syntax, diag.Range{}, "z")}
	for i, name := range []string{"a.txt", "gone.cue", "broken.cue"} {
		l[i].WithFix("fix", diag.Edit{Range: diag.Range{File: name, Start: diag.Pos{Line: 1, Col: 1}, End: diag.Pos{Line: 1, Col: 1}}, New: "x"})
	}
	ResolveFixes(fstest.MapFS{"a.txt": {Data: []byte("a: 1\n")}, "broken.cue": {Data: []byte("a: {\n")}}, l)
	for _, d := range l {
		if d.Fix != nil {
			t.Errorf("%s has a fix", d.Message)
		}
	}
}
