package diag

import (
	"fmt"
	"io"
	"strings"
)

// GitHub writes workflow commands that annotate the changed files of a pull
// request.
func (p Printer) GitHub(w io.Writer, l List) error {
	var b strings.Builder
	for _, d := range l {
		fmt.Fprintf(&b, "::%s %s::%s\n", command(d.Severity), p.properties(d), escapeData(annotation(d)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func command(s Severity) string {
	if s == Info {
		return "notice"
	}
	return s.String()
}

// properties names the place. A column is given only when the range ends on
// its line: GitHub refuses others.
func (p Printer) properties(d Diagnostic) string {
	var out []string
	add := func(key, value string) { out = append(out, key+"="+escapeProperty(value)) }
	if d.Range.File != "" {
		add("file", p.path(d.Range.File))
	}
	if r := d.Range; r.Start.Line > 0 {
		add("line", fmt.Sprint(r.Start.Line))
		add("endLine", fmt.Sprint(max(r.Start.Line, r.End.Line)))
		if r.End.Line == r.Start.Line {
			add("col", fmt.Sprint(r.Start.Col))
			add("endColumn", fmt.Sprint(r.End.Col))
		}
	}
	add("title", string(d.Code))
	return strings.Join(out, ",")
}

func annotation(d Diagnostic) string {
	text := d.Message
	for _, more := range []struct{ word, text string }{{"why", d.why()}, {"for example", d.Witness}, {"help", d.Help}} {
		if more.text != "" {
			text += "\n" + more.word + ": " + more.text
		}
	}
	return text
}

var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func escapeData(s string) string     { return dataEscapes.Replace(s) }
func escapeProperty(s string) string { return propertyEscapes.Replace(s) }
