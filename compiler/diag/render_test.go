package diag

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sample = "package mesh\n\tservice: \"ü\": ownr: 3 // ä\r\nlast"

func printer() Printer {
	return Printer{
		Source: func(file string) []byte {
			if file == "a.cue" {
				return []byte(sample)
			}
			return nil
		},
		Path: func(file string) string { return "mesh/" + file },
	}
}

func TestText(t *testing.T) {
	full := New(UnknownField, Range{"a.cue", Pos{2, 17}, Pos{2, 21}}, "unknown field %q", "ownr")
	full.Why, full.Witness, full.Help = "it has no effect", "GET /", "did you mean \"owner\"?"
	full.Related = []Related{{Range{"a.cue", Pos{3, 1}, Pos{3, 5}}, "its home"}}
	nowhere := New(NotAModule, Range{}, "no module")
	unknown := New(Syntax, Range{"b.cue", Pos{1, 1}, Pos{1, 1}}, "no source")
	file := New(InputRefused, Range{File: "c.cue"}, "a link")
	beyond := New(Syntax, Range{"a.cue", Pos{9, 1}, Pos{9, 1}}, "behind the end")
	var b strings.Builder
	if err := printer().Text(&b, List{full, nowhere, unknown, file, beyond}); err != nil {
		t.Fatal(err)
	}
	want := `error[MSH1002]: unknown field "ownr"
  --> mesh/a.cue:2:17
2 | 	service: "ü": ownr: 3 // ä
  | 	              ^^^^
why: it has no effect
for example: GET /
help: did you mean "owner"?
note: its home
  --> mesh/a.cue:3:1
3 | last
  | ^^^^

error[MSH1014]: no module

error[MSH1001]: no source
  --> mesh/b.cue:1:1

error[MSH1017]: a link
  --> mesh/c.cue

error[MSH1001]: behind the end
  --> mesh/a.cue:9:1
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestGitHubEscapesAndRanges(t *testing.T) {
	one := New(Syntax, Range{"a,b:c.cue", Pos{1, 2}, Pos{1, 4}}, "100%% wrong\nreally")
	two := New(NotCovered, Range{"a.cue", Pos{1, 2}, Pos{3, 1}}, "two lines")
	three := New(FaultExpired, Range{}, "nowhere")
	three.Help = "remove it"
	var b strings.Builder
	if err := (Printer{}).GitHub(&b, List{one, two, three}); err != nil {
		t.Fatal(err)
	}
	want := `::error file=a%2Cb%3Ac.cue,line=1,endLine=1,col=2,endColumn=4,title=MSH1001::100%25 wrong%0Areally
::notice file=a.cue,line=1,endLine=3,title=MSH2012::two lines
::warning title=MSH4003::nowhere%0Ahelp: remove it
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// FuzzText renders any range of any text: it must not panic, and the carets
// never reach beyond the line.
func FuzzText(f *testing.F) {
	f.Add(sample, 2, 17, 2, 21)
	f.Add("", 1, 1, 1, 1)
	f.Add("\xff\n", 1, 9, 0, -1)
	f.Fuzz(func(t *testing.T, source string, line, col, endLine, endCol int) {
		p := Printer{Source: func(string) []byte { return []byte(source) }}
		d := New(Syntax, Range{"f", Pos{line % 1000, col}, Pos{endLine, endCol}}, "x")
		var b strings.Builder
		if err := p.Text(&b, List{d}); err != nil {
			t.Fatal(err)
		}
		if err := p.GitHub(&b, List{d}); err != nil {
			t.Fatal(err)
		}
	})
}
