package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
)

// MarkdownBudget is how many bytes Markdown writes by default: GitHub takes 65,536
// characters in one comment.
const MarkdownBudget = 60_000

// Markdown writes a comment for a pull request: a table of what changes, the
// closing line, and the text of the report folded away, cut so that all of it is
// not longer than most bytes, if these are a few thousand.
func Markdown(w io.Writer, r *behave.Report, path func(string) string, most int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### meshc diff: %s\n\n", diag.EscapeMarkdown(clip(title(r), 3*cellWidth)))
	if !r.Equal() {
		table(&b, r, most/2)
	}
	if line := sameLine(r); line != "" {
		b.WriteString(diag.EscapeMarkdown(line) + "\n\n")
	}
	b.WriteString(diag.EscapeMarkdown(Closing(r)) + "\n")
	if lines := foot(r); len(lines) > 0 {
		b.WriteString("\n" + strings.Join(markdownFoot(lines), " · ") + "\n")
	}
	if !r.Equal() {
		text := strings.TrimSpace(changes(r, path))
		const frame = "\n<details><summary>every change, with lines and a request that shows it</summary>\n\n%s\n</details>\n"
		fmt.Fprintf(&b, frame, diag.FencedMarkdown("text", clip(text, most-b.Len()-2*len(frame))))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownFoot(lines []string) []string {
	var out []string
	for _, line := range lines {
		what, says, _ := strings.Cut(line, " ")
		out = append(out, fmt.Sprintf("**%s** %s", what, diag.EscapeMarkdown(strings.TrimSpace(says))))
	}
	return out
}

// table writes rows as long as the whole is not longer than most bytes.
func table(b *strings.Builder, r *behave.Report, most int) {
	b.WriteString("| object | class | change | requests | callers |\n| --- | --- | --- | --- | --- |\n")
	left := 0
	add := func(line string) {
		if left > 0 || b.Len()+len(line) > most {
			left++
			return
		}
		b.WriteString(line)
	}
	for i := range r.Objects {
		o := &r.Objects[i]
		for j := range o.Changes {
			add(row(o, &o.Changes[j]))
		}
		for _, u := range o.Unknown {
			add(fmt.Sprintf("| %s | **not known** | | %s | |\n", diag.EscapeMarkdown(named(o.Ref, o.Was)), diag.EscapeMarkdown(clip(u, cellWidth))))
		}
	}
	if left > 0 {
		fmt.Fprintf(b, "| | | %d more | | |\n", left)
	}
	b.WriteString("\n")
}

// cellWidth is how many bytes of a text a cell of the table shows.
const cellWidth = 160

func row(o *behave.Object, c *behave.Change) string {
	var deltas []string
	for _, d := range c.Deltas {
		deltas = append(deltas, fmt.Sprintf("%s %s → %s", Label(d), ends(d, d.Before), ends(d, d.After)))
	}
	const unbroken = "\u00a0%" // a percent sign stays with its number
	return fmt.Sprintf("| %s | **%s** | %s | %s | %s |\n", diag.EscapeMarkdown(named(o.Ref, o.Was)), classText(c.Classes),
		strings.ReplaceAll(diag.EscapeMarkdown(clip(strings.Join(deltas, "\n"), 2*cellWidth)), " %", unbroken), diag.EscapeMarkdown(clip(whatText(c), cellWidth)), diag.EscapeMarkdown(clip(refText(c.Callers), cellWidth)))
}

// clip cuts text after at most n bytes, between characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	cut := 0
	for i := range text {
		if i > n-len("…") {
			break
		}
		cut = i
	}
	return text[:cut] + "…"
}
