package diag

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Printer renders diagnostics for people. Both functions may be nil.
type Printer struct {
	// Source gives the content of a file of the mesh, nil when it is not known;
	// then the frame of code is left out.
	Source func(file string) []byte
	// Path gives the name under which the user knows a file of the mesh.
	Path func(file string) string
}

// Text writes every diagnostic with its code frame, a blank line between two.
func (p Printer) Text(w io.Writer, l List) error {
	var b strings.Builder
	for i, d := range l {
		if i > 0 {
			b.WriteByte('\n')
		}
		p.diagnostic(&b, d)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p Printer) diagnostic(b *strings.Builder, d Diagnostic) {
	fmt.Fprintf(b, "%s[%s]: %s\n", d.Severity, d.Code, d.Message)
	p.frame(b, d.Range)
	for _, line := range []struct{ word, text string }{
		{"why", d.Why}, {"for example", d.Witness}, {"help", d.Help},
	} {
		if line.text != "" {
			fmt.Fprintf(b, "%s: %s\n", line.word, line.text)
		}
	}
	for _, r := range d.Related {
		fmt.Fprintf(b, "note: %s\n", r.Message)
		p.frame(b, r.Range)
	}
}

// frame writes the place, and under it the line with a row of carets.
func (p Printer) frame(b *strings.Builder, r Range) {
	if r.File == "" {
		return
	}
	if r.Start.Line == 0 {
		fmt.Fprintf(b, "  --> %s\n", p.path(r.File))
		return
	}
	fmt.Fprintf(b, "  --> %s:%d:%d\n", p.path(r.File), r.Start.Line, r.Start.Col)
	line, ok := p.line(r)
	if !ok {
		return
	}
	number := fmt.Sprint(r.Start.Line)
	fmt.Fprintf(b, "%s | %s\n", number, line)
	fmt.Fprintf(b, "%s | %s\n", strings.Repeat(" ", len(number)), carets(line, r))
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
	return strings.ToValidUTF8(text, "?"), len(first) > 0 && utf8.Valid(first)
}

// carets underlines the part of a line that r covers; at least one column.
// Tabs are kept, so that the carets stand under the text at any width of tab.
func carets(line string, r Range) string {
	start := min(max(r.Start.Col-1, 0), len(line))
	end := len(line)
	if r.End.Line == r.Start.Line {
		end = min(max(r.End.Col-1, start), len(line))
	}
	var b strings.Builder
	for _, c := range line[:start] {
		if c == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	b.WriteString(strings.Repeat("^", max(1, utf8.RuneCountInString(line[start:end]))))
	return b.String()
}
