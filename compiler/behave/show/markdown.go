package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshc/meshc/compiler/behave"
)

// MarkdownBudget is how many bytes Markdown writes by default: GitHub takes 65,536
// characters in one comment.
const MarkdownBudget = 60_000

// Markdown writes a comment for a pull request: a table of what changes, the
// closing line, and the text of the report folded away, cut so that all of it is
// not longer than most bytes, if these are a few thousand.
func Markdown(w io.Writer, r *behave.Report, path func(string) string, most int) error {
	var b strings.Builder
	title := "no request is treated differently"
	if !r.Equal() {
		title = classText(r.Classes())
	}
	fmt.Fprintf(&b, "### meshc diff: %s\n\n", title)
	if !r.Equal() {
		table(&b, r, most/2)
	}
	if line := sameLine(r); line != "" {
		b.WriteString(escape(line) + "\n\n")
	}
	b.WriteString(escape(Closing(r)) + "\n")
	if !r.Equal() {
		var text strings.Builder
		if err := Text(&text, r, path); err != nil {
			return err
		}
		const frame = "\n<details><summary>every change, with lines and a request that shows it</summary>\n\n%s\n</details>\n"
		fmt.Fprintf(&b, frame, fenced(clip(text.String(), most-b.Len()-2*len(frame))))
	}
	_, err := io.WriteString(w, b.String())
	return err
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
			add(fmt.Sprintf("| %s | **not known** | | %s | |\n", escape(o.Ref.String()), escape(clip(u, cellWidth))))
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
	return fmt.Sprintf("| %s | **%s** | %s | %s | %s |\n", escape(o.Ref.String()), classText(c.Classes),
		escape(clip(strings.Join(deltas, "; "), cellWidth)), escape(clip(whatText(c), cellWidth)), escape(clip(refText(c.Callers), cellWidth)))
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

// escape keeps foreign text from being read as Markdown or HTML, or as a mention.
func escape(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c < ' ' || c == 0x7f:
			b.WriteByte(' ')
		case c == '@' || c == '#':
			b.WriteByte('\\')
			b.WriteRune(c)
			b.WriteRune('\u200b')
		case strings.ContainsRune("\\`*_{}[]<>|~$&!", c):
			b.WriteByte('\\')
			b.WriteRune(c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// fenced shows text as a block of code, with a fence longer than any in it.
func fenced(text string) string {
	longest, run := 2, 0
	for _, c := range text {
		if run++; c != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	return fence + "\n" + text + "\n" + fence
}
