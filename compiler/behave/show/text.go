// Package show writes the difference of two meshes in behaviour for people and
// programs: text, Markdown, JSON, and diagnostics for annotations and SARIF.
package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// Text writes the report for a reader. path gives the name under which the user
// knows a file of the mesh.
func Text(w io.Writer, r *behave.Report, path func(string) string) error {
	text := changes(r, path)
	if line := sameLine(r); line != "" {
		text += line + "\n"
	}
	text += Closing(r) + "\n"
	if lines := foot(r); len(lines) > 0 {
		text += "\n" + strings.Join(lines, "\n") + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

// changes is the text of all that changes.
func changes(r *behave.Report, path func(string) string) string {
	p := &printer{path: path}
	for i := range r.Objects {
		p.object(&r.Objects[i])
	}
	return p.out.String()
}

// Closing says what was compared and that nothing else changes, or what is not
// known.
func Closing(r *behave.Report) string {
	compared := fmt.Sprintf("%s compared in %s, %d differ", count(r.Regions, "region"), count(r.Compared, "object"), r.Differ)
	if rest := r.Total - r.Compared; rest > 0 {
		compared += fmt.Sprintf("; %d more %s the same as written", rest, map[bool]string{true: "is", false: "are"}[rest == 1])
	}
	var unknown int
	for _, o := range r.Objects {
		unknown += len(o.Unknown)
	}
	switch {
	case unknown > 0:
		return fmt.Sprintf("NOT KNOWN in %s, see above: nothing may be concluded about what is not listed (%s).", count(unknown, "place"), compared)
	case r.Equal():
		return fmt.Sprintf("No request is treated differently: proved for every client, host, port, path, method and header (%s).", compared)
	}
	return fmt.Sprintf("Nothing else changes: proved for every client, host, port, path, method and header (%s).", compared)
}

// sameLine is the one line about what is written differently only.
func sameLine(r *behave.Report) string {
	const most = 5
	if len(r.Same) == 0 {
		return ""
	}
	var names []string
	for _, n := range r.Same[:min(most, len(r.Same))] {
		names = append(names, sameName(r, n))
	}
	if more := len(r.Same) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	verb := map[bool]string{true: "is", false: "are"}[len(r.Same) == 1]
	return fmt.Sprintf("%s: %s %s written differently, behaviour identical: %s", behave.Noop, count(len(r.Same), "object"), verb, strings.Join(names, ", "))
}

// sameName is an object that behaves the same, and what it was called before.
func sameName(r *behave.Report, n behave.Name) string {
	was, _ := r.Was(n)
	return string(n.Kind) + " " + named(n.Ref, was)
}

// named is a name, and what it was before, where that was another one.
func named(ref, was model.Ref) string {
	if was == (model.Ref{}) {
		return ref.String()
	}
	return fmt.Sprintf("%s (was %s)", ref, was)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

type printer struct {
	out  strings.Builder
	path func(string) string
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(&p.out, format+"\n", args...) }

func (p *printer) object(o *behave.Object) {
	p.line("%s %s   %s   %d of %s", o.Kind, named(o.Ref, o.Was), classText(o.Classes), o.Differ, count(o.Regions, "region"))
	for i := range o.Changes {
		p.line("")
		p.change(&o.Changes[i])
	}
	for _, u := range o.Unknown {
		p.line("")
		p.line("  NOT KNOWN %s", u)
	}
	if through := o.Through(); len(through) > 0 {
		p.line("")
		p.line("  and by way of these callers: %s", refText(through))
	}
	p.line("")
}

func classText(classes []behave.Class) string {
	if len(classes) == 0 {
		return "not known"
	}
	var out []string
	for _, c := range classes {
		out = append(out, string(c))
	}
	return strings.Join(out, " + ")
}

// labelWidth of what stands before a change.
const labelWidth = 20

func (p *printer) change(c *behave.Change) {
	p.line("  %s%s", routeText(c), whatText(c))
	if len(c.From) > 0 {
		p.line("      from %s", strings.Join(c.From, "; or "))
	}
	for _, d := range c.Deltas {
		p.line("      %-8s %-*s %s%s → %s%s", d.Class, labelWidth, Label(d), bar(d), ends(d, d.Before), ends(d, d.After), p.places(d))
	}
	p.line("      for example  %s", c.Witness)
	if len(c.Callers) > 0 {
		p.line("      callers      %s", refText(c.Callers))
	}
}

func routeText(c *behave.Change) string {
	out := ""
	if c.Route != "" {
		out = fmt.Sprintf("route %q, ", c.Route)
	}
	return fmt.Sprintf("%sport %d: ", out, c.Port)
}

func whatText(c *behave.Change) string {
	out := strings.Join(c.Words, "; or ")
	if c.More > 0 {
		out += fmt.Sprintf("; or %d more", c.More)
	}
	return out
}

// Label names a delta: a destination by itself.
func Label(d behave.Delta) string { return strings.TrimPrefix(d.Name, "to ") }

// ends says one end of a delta.
func ends(d behave.Delta, value string) string {
	switch {
	case value != "":
		return value
	case strings.HasPrefix(d.Name, "to ") && strings.HasSuffix(d.Before+d.After, " %"):
		return "0 %"
	}
	return "none"
}

// places are the lines on both sides, in brackets.
func (p *printer) places(d behave.Delta) string {
	before, after := p.place(d.BeforeAt), p.place(d.AfterAt)
	switch {
	case before == "" && after == "":
		return ""
	case before == after || before == "":
		return "  [" + after + "]"
	case after == "":
		return "  [" + before + " before]"
	}
	return "  [" + before + " → " + after + "]"
}

func (p *printer) place(at diag.Range) string {
	if at.File == "" {
		return ""
	}
	at.File = p.path(at.File)
	return at.String()
}

func refText(list []model.Ref) string {
	const most = 8
	var out []string
	for _, r := range list[:min(most, len(list))] {
		out = append(out, r.String())
	}
	if more := len(list) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}
