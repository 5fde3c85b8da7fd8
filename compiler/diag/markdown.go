package diag

import (
	"fmt"
	"io"
	"strings"
)

// maxMarkdown bounds a comment: GitHub takes 65,536 characters.
const maxMarkdown = 60_000

// Markdown writes a comment for a pull request: a marker by which a later run
// finds it, one line that says how it stands, a table, and the details folded.
func (p Printer) Markdown(w io.Writer, r Report, title string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- meshc:vet -->\n### %s\n", EscapeMarkdown(title))
	p.table(&b, r.Diagnostics)
	p.details(&b, r.Diagnostics)
	if n := len(r.Suppressed); n > 0 {
		b.WriteString("\nSuppressed:\n\n")
		for i, s := range r.Suppressed {
			if b.Len() > maxMarkdown {
				fmt.Fprintf(&b, "- and %d more\n", n-i)
				break
			}
			fmt.Fprintf(&b, "- %s %s: %s\n", s.By.Code, codeSpan(p.place(s.Diagnostic.Range)), EscapeMarkdown(s.By.Reason))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p Printer) table(b *strings.Builder, l List) {
	if len(l) == 0 {
		return
	}
	b.WriteString("\n| | where | what |\n| --- | --- | --- |\n")
	for i, d := range l {
		if b.Len() > maxMarkdown/2 {
			fmt.Fprintf(b, "| | | and %d more |\n", len(l)-i)
			return
		}
		what := EscapeMarkdown(d.Message)
		if d.Help != "" {
			what += "<br>" + EscapeMarkdown(d.Help)
		}
		fmt.Fprintf(b, "| **%s** | %s | %s: %s |\n", d.Severity, cell(codeSpan(p.place(d.Range))), d.Code, what)
	}
}

// details are the frames of code, as in Text.
func (p Printer) details(b *strings.Builder, l List) {
	if len(l) == 0 {
		return
	}
	b.WriteString("\n<details><summary>Details and fixes</summary>\n")
	p.Colour = false
	said := map[string]bool{}
	for i, d := range l {
		var one strings.Builder
		p.diagnostic(&one, d, said)
		text := "\n" + FencedMarkdown("text", strings.TrimSuffix(one.String(), "\n"))
		if b.Len()+len(text) > maxMarkdown {
			fmt.Fprintf(b, "\nand %d more\n", len(l)-i)
			break
		}
		b.WriteString(text)
	}
	b.WriteString("\n</details>\n")
}

// place is the path and line of r.
func (p Printer) place(r Range) string {
	if r.File == "" {
		return ""
	}
	if r.Start.Line == 0 {
		return p.path(r.File)
	}
	return fmt.Sprintf("%s:%d:%d", p.path(r.File), r.Start.Line, r.Start.Col)
}

// EscapeMarkdown escapes foreign text for one line of GitHub Flavored Markdown, also
// in a table: it is shown as it is, makes no link, and calls nobody's name.
// A backslash holds back every sign that Markdown gives a meaning (CommonMark
// section 2.4); a zero-width space behind "@" and "#" holds back mentions and
// references, which GitHub finds after escapes are gone.
func EscapeMarkdown(s string) string {
	var b strings.Builder
	s = visible(s)
	for i, c := range s {
		switch {
		case c == '\n':
			b.WriteString("<br>")
		case c == '@' || c == '#':
			b.WriteByte('\\')
			b.WriteRune(c)
			b.WriteRune('\u200b')
		case strings.ContainsRune("\\`*_{}[]<>|~$&:!", c):
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"):
			b.WriteString("\\.")
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// codeSpan shows text as code: its fence is longer than any in the text
// (CommonMark section 6.1).
func codeSpan(s string) string {
	s = strings.ReplaceAll(visible(s), "\n", " ")
	if s == "" {
		return ""
	}
	fence := strings.Repeat("`", longestRun(s)+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// cell keeps a code span within one cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// FencedMarkdown shows text as a block of code.
func FencedMarkdown(language, text string) string {
	fence := strings.Repeat("`", max(3, longestRun(text)+1))
	return fence + language + "\n" + text + "\n" + fence + "\n"
}

// longestRun counts the longest row of backticks.
func longestRun(s string) int {
	longest, run := 0, 0
	for _, c := range s {
		if run++; c != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}
