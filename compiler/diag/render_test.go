package diag

import (
	"errors"
	"regexp"
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

// reason of a code, which Text gives with its first diagnostic.
func reason(c Code) string {
	e, _ := Lookup(c)
	return e.Explain
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
why: ` + reason(NotAModule) + `

error[MSH1001]: no source
  --> mesh/b.cue:1:1
why: ` + reason(Syntax) + `

error[MSH1017]: a link
  --> mesh/c.cue
why: ` + reason(InputRefused) + `

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
	want := `::error file=a%2Cb%3Ac.cue,line=1,endLine=1,col=2,endColumn=4,title=MSH1001::100%25 wrong%0Areally%0Awhy: ` + reason(Syntax) + `
::notice file=a.cue,line=1,endLine=3,title=MSH2012::two lines%0Awhy: ` + reason(NotCovered) + `
::warning title=MSH4003::nowhere%0Awhy: ` + reason(FaultExpired) + `%0Ahelp: remove it
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
		d := New(Syntax, Range{"f", NewPos(line%1000, col), NewPos(endLine, endCol)}, "x")
		var b strings.Builder
		if err := p.Text(&b, List{d}); err != nil {
			t.Fatal(err)
		}
		if err := p.GitHub(&b, List{d}); err != nil {
			t.Fatal(err)
		}
		if err := p.SARIF(&b, Report{Diagnostics: List{d}}); err != nil {
			t.Fatal(err)
		}
		if err := p.Markdown(&b, Report{Diagnostics: List{d}}, source); err != nil {
			t.Fatal(err)
		}
	})
}

func TestColour(t *testing.T) {
	p := printer()
	p.Colour = true
	var coloured, plain strings.Builder
	l := List{New(UnknownField, Range{"a.cue", Pos{2, 17}, Pos{2, 21}}, "x"), New(NotCovered, Range{"a.cue", Pos{3, 1}, Pos{3, 2}}, "y")}
	if err := errors.Join(p.Text(&coloured, l), printer().Text(&plain, l)); err != nil {
		t.Fatal(err)
	}
	bare := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(coloured.String(), "")
	if d := cmp.Diff(plain.String(), bare); d != "" {
		t.Errorf("without its colours it says something else (-plain +coloured):\n%s", d)
	}
	if !strings.Contains(coloured.String(), "\x1b[1;31merror[MSH1002]\x1b[0m") || strings.Contains(plain.String(), "\x1b") {
		t.Errorf("%q\n%q", coloured.String(), plain.String())
	}
}

// TestForeignTextSteersNothing puts into every field what would recolour a
// terminal, turn the direction of text, call somebody or break a table.
func TestForeignTextSteersNothing(t *testing.T) {
	evil := "\x1b[31m\u202e\u009b @team #12 |x| <b> `c` ![i](http://e.example) www.e.example\r"
	at := Range{"a.cue", Pos{1, 1}, Pos{1, 3}}
	d := New(UnknownField, at, "%s", evil)
	d.Why, d.Help, d.Witness = evil, evil, evil
	d.Related = []Related{{at, evil}}
	d.WithFix(evil, Edit{Range: at, New: evil})
	p := Printer{Source: func(string) []byte { return []byte(evil) }, Path: func(string) string { return evil }}
	var text, md strings.Builder
	r := Report{Diagnostics: List{d}, Suppressed: []Suppressed{{d, Suppression{Code: d.Code, Reason: evil}}}}
	if err := errors.Join(p.Text(&text, r.Diagnostics), p.Markdown(&md, r, evil)); err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"text": text.String(), "markdown": md.String()} {
		if strings.ContainsFunc(out, func(c rune) bool { return c != '\n' && steers(c) }) {
			t.Errorf("%s: %q", name, out)
		}
	}
	inFence, fence := false, ""
	for _, line := range strings.Split(md.String(), "\n") {
		if strings.HasPrefix(line, "```") && (!inFence || line == fence) {
			inFence, fence = !inFence, strings.TrimSuffix(line, "text")
			continue
		}
		if inFence {
			continue
		}
		bare := codeSpans.ReplaceAllString(line, "")
		for _, bad := range []string{"@t", "#1", "|x", " <b>", "![", "http:", "www.", "](h"} {
			if i := strings.Index(bare, bad); i >= 0 && (i == 0 || bare[i-1] != '\\') {
				t.Errorf("markdown: %q in %q", bad, line)
			}
		}
	}
	if inFence {
		t.Errorf("a fence is left open:\n%s", md.String())
	}
}

var codeSpans = regexp.MustCompile("``+[^`].*?[^`]``+|`[^`]*`")

func TestMarkdown(t *testing.T) {
	d := New(UnknownField, Range{"a.cue", Pos{2, 17}, Pos{2, 21}}, "unknown field %q", "ownr")
	d.Help = "did you mean \"owner\"?"
	var b strings.Builder
	if err := printer().Markdown(&b, Report{Diagnostics: List{d}, Suppressed: []Suppressed{{d, Suppression{Code: d.Code, Reason: "it is *ours*"}}}}, "meshc vet: 1 error"); err != nil {
		t.Fatal(err)
	}
	want := "<!-- meshc:vet -->\n### meshc vet\\: 1 error\n\n" +
		"| | where | what |\n| --- | --- | --- |\n" +
		"| **error** | `mesh/a.cue:2:17` | MSH1002: unknown field \"ownr\"<br>did you mean \"owner\"? |\n" +
		"\n<details><summary>Details and fixes</summary>\n\n" +
		"```text\nerror[MSH1002]: unknown field \"ownr\"\n  --> mesh/a.cue:2:17\n2 | \tservice: \"ü\": ownr: 3 // ä\n  | \t              ^^^^\n" +
		"why: " + reason(UnknownField) + "\nhelp: did you mean \"owner\"?\n```\n\n</details>\n" +
		"\nSuppressed:\n\n- MSH1002 `mesh/a.cue:2:17`: it is \\*ours\\*\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	var many List
	for range 5000 {
		many.Add(d)
	}
	b.Reset()
	if err := printer().Markdown(&b, Report{Diagnostics: many}, "x"); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 65_536 || !strings.Contains(b.String(), "more |") || !strings.HasSuffix(b.String(), "</details>\n") {
		t.Errorf("%d bytes, ends %q", b.Len(), b.String()[b.Len()-40:])
	}
}

func TestLongLinesAreShownAroundThePlace(t *testing.T) {
	line := strings.Repeat("ä", 400) + "HERE" + strings.Repeat("ö", 400)
	p := Printer{Source: func(string) []byte { return []byte(line) }}
	var b strings.Builder
	if err := p.Text(&b, List{New(Syntax, Range{"f", Pos{1, 801}, Pos{1, 805}}, "x")}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	shown, under := []rune(lines[2]), []rune(lines[3])
	if len(shown) > 200 || len(under) > len(shown) {
		t.Fatalf("%s", b.String())
	}
	var marked []rune
	for i, c := range under {
		if c == '^' {
			marked = append(marked, shown[i])
		}
	}
	if string(marked) != "HERE" {
		t.Errorf("marked %q in\n%s", string(marked), b.String())
	}
}
