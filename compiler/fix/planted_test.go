package fix_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/diag"
)

// part is a field, or with no key an element; its value is a scalar of CUE,
// YAML and JSON, or parts.
type part struct {
	key    string
	scalar string
	parts  []part
	list   bool
}

func fieldOf(key string, parts ...part) part { return part{key: key, parts: parts} }
func scalarOf(key, scalar string) part       { return part{key: key, scalar: scalar} }

// planted is a mistake: the text that stands on its line only, and its code.
type planted struct {
	text string
	code diag.Code
}

// mistaken is a service with the mistakes that are asked for.
func mistaken(name string, bad func(string) bool) (part, []planted) {
	var all []planted
	plant := func(kind, right, wrong string, code diag.Code) string {
		if !bad(kind) {
			return right
		}
		all = append(all, planted{strings.TrimSuffix(strings.TrimPrefix(wrong, `"`), `"`), code})
		return wrong
	}
	s := fieldOf(name)
	s.parts = append(s.parts, scalarOf("owner", plant("type", `"team"`, "170000"+name[1:], diag.WrongValue)))
	if bad("unknown") {
		key := plant("unknown", "", "xylophone"+name, diag.UnknownField)
		s.parts = append(s.parts, scalarOf(key, `"x"`))
	}
	s.parts = append(s.parts,
		fieldOf("ports", fieldOf("http", scalarOf("number", plant("port", "80", `"eighty`+name+`"`, diag.WrongValue)), scalarOf("protocol", plant("protocol", `"http"`, `"carrier-pigeon`+name+`"`, diag.WrongValue)))),
		fieldOf("versions", part{key: "v1", scalar: "{}"}),
	)
	if bad("uses") {
		s.parts = append(s.parts, fieldOf("uses", part{key: plant("uses", "", "nowhere-at-all-"+name, diag.UnknownUse), scalar: "{}"}))
	}
	on := plant("retry", `"503"`, `"full-moon-`+name+`"`, diag.UnknownRetryOn)
	s.parts = append(s.parts, fieldOf("routes", fieldOf("all",
		fieldOf("to", scalarOf("v1", plant("weight", "100", "90."+name[1:], diag.WeightSum))),
		scalarOf("timeout", plant("duration", `"9s"`, `"soon-`+name+`"`, diag.BadDuration)),
		fieldOf("retries", scalarOf("attempts", "2"), part{key: "on", list: true, parts: []part{{scalar: on}, {scalar: `"reset"`}}}),
	)))
	return s, all
}

// inCUE, inJSON and inYAML write parts, each scalar on a line of its own.
func inCUE(p part, indent string) string {
	label := ""
	if p.key != "" {
		label = fmt.Sprintf("%q: ", p.key)
	}
	return indent + label + body(p, indent, inCUE) + "\n"
}

func inJSON(p part, indent string) string {
	label := ""
	if p.key != "" {
		label = fmt.Sprintf("%q: ", p.key)
	}
	return indent + label + strings.ReplaceAll(body(p, indent, func(q part, in string) string {
		return strings.TrimSuffix(inJSON(q, in), "\n") + ",\x00\n"
	}), "\x00", "") + "\n"
}

func body(p part, indent string, below func(part, string) string) string {
	if p.scalar != "" {
		return p.scalar
	}
	open, end := "{", "}"
	if p.list {
		open, end = "[", "]"
	}
	var b strings.Builder
	b.WriteString(open + "\n")
	for _, q := range p.parts {
		text := below(q, indent+"\t")
		if p.list && !strings.Contains(text, ",\x00") {
			text = strings.TrimSuffix(text, "\n") + ",\n"
		}
		b.WriteString(text)
	}
	return strings.TrimSuffix(b.String(), ",\x00\n") + "\n" + indent + end
}

// inYAML writes blocks, with elements as deep as their field where flat is set.
func inYAML(flat bool) func(part, string) string {
	var write func(p part, indent string) string
	write = func(p part, indent string) string {
		if p.key == "" {
			return indent + "- " + p.scalar + "\n"
		}
		if p.scalar != "" {
			return indent + p.key + ": " + p.scalar + " # as it is\n"
		}
		deeper := indent + "  "
		if p.list && flat {
			deeper = indent
		}
		out := indent + p.key + ":\n"
		for _, q := range p.parts {
			out += write(q, deeper)
		}
		return out
	}
	return write
}

// inFlow is YAML with brackets.
func inFlow(p part, indent string) string { return inJSON(p, indent) }

// files are the ways to write a service.
var files = []struct {
	ext   string
	write func(part) string
}{
	{".cue", func(p part) string { return "package mesh\n\n" + inCUE(p, "") }},
	{".json", func(p part) string { return strings.ReplaceAll("{\n"+inJSON(p, "  ")+"}\n", "\t", "  ") }},
	{".yaml", func(p part) string { return inYAML(false)(p, "") }},
	{".yml", func(p part) string { return "---\n# a mesh\n" + inYAML(true)(p, "") + "---\n" }},
	{".flow.yaml", func(p part) string {
		return strings.ReplaceAll("{\n"+inFlow(p, "  ")+"}\n", "\t", "  ")
	}},
}

// ofEntry are mistakes that are judged with the rest of their service, and so
// wait until a wrong value beside them is right.
var ofEntry = []string{"weight"}

var wrongValues = []string{"type", "port", "protocol"}

// TestEveryPlantedMistakeIsReportedOnce writes services in CUE, YAML and JSON,
// each with mistakes, and wants one error for each, on its line.
func TestEveryPlantedMistakeIsReportedOnce(t *testing.T) {
	kinds := []string{"type", "unknown", "port", "protocol", "uses", "retry", "weight", "duration"}
	rapid.Check(t, func(t *rapid.T) {
		fsys := mesh()
		want := map[string]diag.Code{}
		for i := range rapid.IntRange(1, 4).Draw(t, "services") {
			chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(kinds), 0, 4, rapid.ID).Draw(t, "mistakes")
			if slices.ContainsFunc(chosen, func(k string) bool { return slices.Contains(wrongValues, k) }) {
				chosen = slices.DeleteFunc(chosen, func(k string) bool { return slices.Contains(ofEntry, k) })
			}
			name := fmt.Sprintf("s%d", i+1)
			service, mistakes := mistaken(name, func(k string) bool { return slices.Contains(chosen, k) })
			form := files[rapid.IntRange(0, len(files)-1).Draw(t, "form")]
			file := fmt.Sprintf("%s/%s%s", rapid.SampledFrom([]string{"shop", "stock"}).Draw(t, "directory"), name, form.ext)
			text := form.write(fieldOf("service", service))
			fsys[file] = &fstest.MapFile{Data: []byte(text)}
			for _, m := range mistakes {
				line := 1 + strings.Count(text[:strings.Index(text, m.text)], "\n")
				want[fmt.Sprintf("%s:%d", file, line)] = m.code
			}
		}
		got := map[string]diag.Code{}
		for _, d := range vetted(t, fsys) {
			if d.Severity != diag.Error {
				continue
			}
			at := fmt.Sprintf("%s:%d", d.Range.File, d.Range.Start.Line)
			if got[at] != "" {
				t.Errorf("%s is reported twice", at)
			}
			got[at] = d.Code
		}
		for at, code := range want {
			if c := got[at]; c != code {
				t.Errorf("%s: want %s, have %q", at, code, c)
			}
		}
		if len(got) > len(want) {
			t.Errorf("%d mistakes are planted: %v; reported: %v", len(want), want, got)
		}
		if t.Failed() {
			for name, f := range fsys {
				t.Logf("-- %s --\n%s", name, f.Data)
			}
		}
	})
}
