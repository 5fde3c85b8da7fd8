package diag

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Printer renders diagnostics. Both functions may be nil.
type Printer struct {
	// Source gives the content of a file of the mesh, nil when it is not known;
	// then the frame of code is left out.
	Source func(file string) []byte
	// Path gives the name under which the user knows a file of the mesh.
	Path func(file string) string
	// Colour lets Text use escape sequences of the terminal. Words and signs
	// say the same without them.
	Colour bool
}

// Text writes every diagnostic with its code frame, a blank line between two.
// The reason for a code is given with its first diagnostic only.
func (p Printer) Text(w io.Writer, l List) error {
	var b strings.Builder
	said := map[string]bool{}
	for i, d := range l {
		if i > 0 {
			b.WriteByte('\n')
		}
		p.diagnostic(&b, d, said)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Colours, as Select Graphic Rendition parameters (ECMA-48).
const (
	bold  = "1"
	blue  = "1;34"
	green = "1;32"
)

func severityColour(s Severity) string {
	switch s {
	case Error:
		return "1;31"
	case Warning:
		return "1;33"
	default:
		return "1;36"
	}
}

func (p Printer) paint(colour, text string) string {
	if !p.Colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (p Printer) diagnostic(b *strings.Builder, d Diagnostic, said map[string]bool) {
	colour := severityColour(d.Severity)
	fmt.Fprintf(b, "%s: %s\n", p.paint(colour, fmt.Sprintf("%s[%s]", d.Severity, d.Code)), p.paint(bold, visible(d.Message)))
	p.frame(b, d.Range, colour)
	if why := d.why(); why != "" && !said[why] {
		said[why] = true
		p.remark(b, "why", why)
	}
	p.remark(b, "for example", d.Witness)
	p.remark(b, "help", d.Help)
	if d.Fix != nil {
		p.remark(b, "fix", d.Fix.Title+"  ("+d.fixCommand()+")")
	}
	for _, r := range d.Related {
		p.remark(b, "note", r.Message)
		p.frame(b, r.Range, blue)
	}
}

// why gives the reason of the diagnostic, else that of its code.
func (d Diagnostic) why() string {
	if d.Why != "" {
		return d.Why
	}
	e, _ := Lookup(d.Code)
	return e.Explain
}

// fixCommand is what the user types to have the fix made.
func (d Diagnostic) fixCommand() string {
	if d.Fix.Choice {
		return "meshc vet --fix=" + string(d.Code)
	}
	return "meshc vet --fix"
}

func (p Printer) remark(b *strings.Builder, word, text string) {
	if text != "" {
		fmt.Fprintf(b, "%s %s\n", p.paint(green, word+":"), visible(text))
	}
}

// frame writes the place, and under it the line with a row of carets.
func (p Printer) frame(b *strings.Builder, r Range, colour string) {
	if r.File == "" {
		return
	}
	arrow := p.paint(blue, "  -->")
	if r.Start.Line == 0 {
		fmt.Fprintf(b, "%s %s\n", arrow, visible(p.path(r.File)))
		return
	}
	fmt.Fprintf(b, "%s %s:%d:%d\n", arrow, visible(p.path(r.File)), r.Start.Line, r.Start.Col)
	line, ok := p.line(r)
	if !ok {
		return
	}
	line, start, end := excerpt(line, r)
	number := fmt.Sprint(r.Start.Line)
	fmt.Fprintf(b, "%s %s\n", p.paint(blue, number+" |"), oneColumn(line))
	blank := strings.Repeat(" ", len(number))
	fmt.Fprintf(b, "%s %s%s\n", p.paint(blue, blank+" |"), lead(line[:start]), p.paint(colour, carets(line[start:end])))
}

func (p Printer) path(file string) string {
	if p.Path == nil {
		return file
	}
	return p.Path(file)
}

// line gives the text of the line that r starts on.
func (p Printer) line(r Range) (string, bool) {
	if p.Source == nil {
		return "", false
	}
	rest := p.Source(r.File)
	for range r.Start.Line - 1 {
		_, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			return "", false
		}
		rest = after
	}
	first, _, _ := bytes.Cut(rest, []byte("\n"))
	text := strings.TrimSuffix(string(first), "\r")
	return text, len(first) > 0 && utf8.Valid(first)
}

// A line longer than maxLine runes, as JSON on one line, is shown around the
// place only.
const (
	maxLine  = 160
	beforeIt = 60
)

// excerpt gives what is shown of a line, and the bytes of it that r covers.
func excerpt(line string, r Range) (shown string, start, end int) {
	start = min(max(int(r.Start.Col)-1, 0), len(line))
	end = len(line)
	if r.End.Line == r.Start.Line {
		end = min(max(int(r.End.Col)-1, start), len(line))
	}
	if utf8.RuneCountInString(line) <= maxLine {
		return line, start, end
	}
	from := max(0, start-beforeIt)
	for from > 0 && !utf8.RuneStart(line[from]) {
		from--
	}
	to := min(len(line), from+maxLine)
	for to < len(line) && !utf8.RuneStart(line[to]) {
		to++
	}
	const cut = "…"
	shown, start, end = line[from:to], start-from, min(end, to)-from
	if from > 0 {
		shown, start, end = cut+shown, start+len(cut), end+len(cut)
	}
	if to < len(line) {
		shown += cut
	}
	return shown, start, end
}

// lead is white space as wide as text. Tabs are kept, so that the carets stand
// under the text at any width of tab.
func lead(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\t' {
			return c
		}
		return ' '
	}, text)
}

// carets underlines text; at least one column.
func carets(text string) string {
	return strings.Repeat("^", max(1, utf8.RuneCountInString(text)))
}

// steers says that a rune does something to a terminal or a reader beside
// standing in its place: control characters, and those that turn the direction
// of text (Unicode TR9), which can make text look like another.
func steers(c rune) bool {
	return c < ' ' && c != '\t' || c >= 0x7f && c <= 0x9f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 || c == 0x200e || c == 0x200f
}

// visible writes out what would steer a terminal.
func visible(s string) string {
	if !strings.ContainsFunc(s, func(c rune) bool { return steers(c) && c != '\n' }) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if steers(c) && c != '\n' {
			fmt.Fprintf(&b, `\u%04x`, c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// oneColumn replaces what would steer a terminal by one sign, so that carets
// stay under the text.
func oneColumn(s string) string {
	return strings.Map(func(c rune) rune {
		if steers(c) {
			return '\uFFFD'
		}
		return c
	}, s)
}
