package language

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"

	"github.com/meshc/meshc/compiler/load"
)

// noValue is what a mutant says that leaves a field open.
const noValue = "no value"

// mutant is a mesh with one change in one file.
type mutant struct {
	kind string // what was done
	site *site
	edit edit
	also *edit // in the same file
	line int   // where the change can be read
	// against is the mesh with all of the change but the one in question; nil for
	// the mesh as it is.
	against *mutant
}

// edit puts a text in the place of a stretch of a file.
type edit struct {
	start, end int
	text       string
}

func (m *mutant) String() string { return fmt.Sprintf("%s of %s: %q", m.kind, m.site, m.edit.text) }

// files gives the mesh with the change.
func (m *mutant) files(files map[string]string) map[string]string {
	out := maps.Clone(files)
	edits := []edit{m.edit}
	if m.also != nil {
		edits = append(edits, *m.also)
	}
	slices.SortFunc(edits, func(a, b edit) int { return b.start - a.start })
	text := files[m.site.file]
	for _, e := range edits {
		text = text[:e.start] + e.text + text[e.end:]
	}
	out[m.site.file] = text
	return out
}

// key tells the mutants of which one is enough.
func (m *mutant) key() string { return m.site.place.field + ": " + m.kind }

// value puts another value in the place of a site's.
func (s *site) with(kind, text string) *mutant {
	return &mutant{kind: kind, site: s, line: s.value.Pos().Line(), edit: edit{s.value.Pos().Offset(), s.value.End().Offset(), text}}
}

// renamed gives the site another label.
func (s *site) renamed(kind, label string) *mutant {
	f, ok := s.node.(*ast.Field)
	if !ok {
		return nil
	}
	return &mutant{kind: kind, site: s, line: f.Label.Pos().Line(), edit: edit{f.Label.Pos().Offset(), f.Label.End().Offset(), label}}
}

// having writes a field more into the struct of a site: before the others, on
// the line of the brace if the struct is of one line, else on its own.
func (s *site) having(kind, field string) *mutant {
	v := s.braces()
	if v == nil {
		return nil
	}
	at := v.Lbrace.Offset() + 1
	m := &mutant{kind: kind, site: s, line: v.Lbrace.Line(), edit: edit{at, at, field}}
	switch {
	case v.Rbrace.Line() != v.Lbrace.Line():
		m.edit.text = "\n" + field
		m.line++
	case len(v.Elts) > 0:
		m.edit.text += ", "
	}
	return m
}

// wrong makes mutants of a site. That they are wrong follows from how they are
// made: from the schema's own words for the field, or from what every value of
// the kind must be. files are those of the mesh and all their sites.
func wrong(s *site, all []*site) []*mutant {
	var out []*mutant
	for _, make := range []func(*site, []*site) []*mutant{wrongType, wrongLabel, wrongRange, wrongText, wrongReference, wrongCompany, wrongSum} {
		for _, m := range make(s, all) {
			if m != nil {
				out = append(out, m)
			}
		}
	}
	return out
}

// wrongType gives values of another type, none, or two.
func wrongType(s *site, _ []*site) []*mutant {
	if s.above == nil {
		return nil // every directory has these
	}
	if s.value.Pos().Line() != s.value.End().Line() {
		return nil // what stands on the lines between would go too
	}
	other := "7"
	switch want := s.place.want; {
	case want == aStruct, want == aBool, want == aNumber, strings.HasPrefix(want, "a whole number"):
		other = `"some text"`
	case want == "" && s.place.isStruct():
		other = `"some text"`
	case want == "":
		if _, text := s.text(); !text {
			other = `"some text"`
		}
	}
	out := []*mutant{s.with("another type", other), s.with("a name that nothing has", "nobodyWroteThis")}
	if lit, ok := s.value.(*ast.BasicLit); ok {
		out = append(out, s.with("two values", lit.Value+` & "quite another"`))
		if _, text := s.text(); text && s.label != "" && !strings.HasPrefix(s.place.want, `"`) { // of an element there may be only one, and of some fields only one value
			out = append(out, s.with(noValue, "string"))
		}
	}
	return out
}

// wrongLabel gives names that the schema does not have, and takes away what it
// requires.
func wrongLabel(s *site, _ []*site) []*mutant {
	var out []*mutant
	if s.place.isStruct() {
		out = append(out, s.having("a field that the language does not have", "notOfTheLanguage: 1"))
	}
	if s.above == nil || !s.above.place.isStruct() {
		return out
	}
	if s.above.place.names[s.label+"q"] == nil {
		out = append(out, s.renamed("a misspelled name", s.label+"q"))
	}
	d, err := load.Describe(s.place.field)
	if v := s.above.braces(); err == nil && d.Required && v != nil && v.Lbrace.Line() == v.Rbrace.Line() {
		end := s.node.End().Offset()
		if i := slices.Index(v.Elts, s.node.(ast.Decl)); i+1 < len(v.Elts) {
			end = v.Elts[i+1].Pos().Offset()
		}
		out = append(out, &mutant{kind: "a missing field", site: s, line: s.above.node.Pos().Line(), edit: edit{s.node.Pos().Offset(), end, ""}})
	}
	return out
}

var bounds = regexp.MustCompile(`^a whole number from (\d+) to (\d+)$`)

// wrongRange gives numbers and words outside of what the schema allows.
func wrongRange(s *site, _ []*site) []*mutant {
	want := s.place.want
	switch {
	case bounds.MatchString(want):
		b := bounds.FindStringSubmatch(want)
		low, _ := strconv.Atoi(b[1])
		high, _ := strconv.Atoi(b[2])
		return []*mutant{s.with("below the least", strconv.Itoa(low-1)), s.with("above the most", strconv.Itoa(high+1))}
	case want == aNumber:
		return []*mutant{s.with("a number with three decimals", "12.345"), s.with("a negative number", "-1"), s.with("above a hundred", "100.01")}
	case strings.HasPrefix(want, "one of "):
		return []*mutant{s.with("a word that is none of them", `"neither"`)}
	case strings.HasPrefix(want, "text that matches "):
		if bad := "Not A Name!"; !regexp.MustCompile(strings.TrimPrefix(want, "text that matches ")).MatchString(bad) {
			return []*mutant{s.with("text that does not match", strconv.Quote(bad))}
		}
	}
	return nil
}

var duration = regexp.MustCompile(`^[0-9]+(ms|s|m|h)$`)

// textsOf are fields of one meaning, by the end of their names, and texts that
// are wrong for all of them.
var textsOf = []struct {
	ends  []string
	wrong []string
}{
	{[]string{".regex", ".pattern"}, []string{"(", "[z-a]", "a{1001}"}},
	{[]string{".ips.[]", ".notIPs.[]", ".clientIPs.[]", ".notClientIPs.[]"}, []string{"10.0.0.0/33", "somewhere", "10.0.0.256"}},
	{[]string{".until"}, []string{"tomorrow", "2099-13-01T00:00:00Z", "2099-01-01"}},
	{[]string{".method", ".notMethod", ".method.[]", ".notMethod.[]", ".methods.[]", ".notMethods.[]"}, []string{"GE T", ""}},
	{[]string{".template"}, []string{"/a", "/{id}", "/{**}/a", "no-slash/{*}"}},
	{[]string{".path.exact", ".path.prefix", ".path.segmentPrefix"}, []string{"no-slash"}},
	{[]string{".remove.[]", ".hash.[].header", ".sticky.header", ".rateLimited.header"}, []string{"not a header"}},
	{[]string{"gateway.*.listeners.*.hosts.[]"}, []string{"*.*", "a..b", "a b"}},
	{[]string{".endpoints.[]"}, []string{"127.0.0.1", "127.0.0.1:0", "nowhere:80"}},
	{[]string{".retries.on.[]"}, []string{"sometimes", "999"}},
}

// wrongText gives texts that a field of its meaning does not take.
func wrongText(s *site, _ []*site) []*mutant {
	var out []*mutant
	value, ok := s.text()
	if !ok {
		return nil
	}
	if s.place.want == aText && duration.MatchString(value) {
		for _, bad := range []string{"5 parsecs", "-1s", "5"} {
			out = append(out, s.with("a bad duration", strconv.Quote(bad)))
		}
	}
	for _, of := range textsOf {
		if !slices.ContainsFunc(of.ends, func(e string) bool { return strings.HasSuffix(s.place.field, e) }) {
			continue
		}
		for _, bad := range of.wrong {
			out = append(out, s.with("not a text of its meaning: "+bad, strconv.Quote(bad)))
		}
	}
	return out
}

// references are fields that name something else, by the end of their names.
var references = []string{
	"service.*.routes.*.port", ".faults.*.on", ".before.[]", ".after.[]", "gateway.*.routes.*.listener", "gateway.*.routes.*.port", "gateway.*.routes.*.to",
	".allow.[].from.[]", ".deny.[].from.[]", ".notFrom.[]", ".namespaces.[]", ".notNamespaces.[]", ".notPorts.[]", ".notListeners.[]", ".mirror.[].version", ".mirror.[].to", ".mirror.[].port", ".traffic.health.port", "external.*.tls.ports.[]", ".ports.[]",
}

// wrongReference gives names of nothing.
func wrongReference(s *site, _ []*site) []*mutant {
	if _, ok := s.text(); ok && slices.ContainsFunc(references, func(e string) bool { return strings.HasSuffix(s.place.field, e) }) {
		return []*mutant{s.with("a name of nothing", `"nobody-has-this-name"`)}
	}
	switch {
	case strings.HasSuffix(s.place.field, ".uses.*"):
		return []*mutant{s.renamed("a name of nothing", `"nobody-has-this-name"`)}
	case strings.HasSuffix(s.place.field, ".routes.*.to.*"), strings.HasSuffix(s.place.field, ".routes.*.destinations.*"):
		return []*mutant{s.renamed("a name of nothing", "v999")}
	case strings.HasSuffix(s.place.field, "Headers.set.*"), strings.HasSuffix(s.place.field, "Headers.add.*"),
		strings.HasSuffix(s.place.field, ".match.[].headers.*"):
		return []*mutant{s.renamed("a name that no header has", `"not a header"`)}
	}
	return nil
}

// unions are fields of which a struct has one.
var unions = [][]string{
	{"exact", "prefix", "suffix", "contains", "regex", "present", "range", "segmentPrefix", "template"},
	{"secret", "file"},
	{"http", "tcp"},
	{"header", "cookie", "query", "sourceIP"},
	{"redirect", "respond"},
}

// armOf is a value for one arm of a union.
var armOf = map[string]string{
	"exact": `"/x"`, "prefix": `"/x"`, "suffix": `"x"`, "contains": `"x"`, "regex": `"x"`, "present": "true", "range": "{from: 1, to: 2}", "segmentPrefix": `"/x"`, "template": `"/{*}"`,
	"secret": `"x"`, "file": `"x.pem"`, "http": `{path: "/"}`, "tcp": "{}", "header": `"x"`, "query": `"x"`, "sourceIP": "true",
	"redirect": `{path: "/x"}`, "respond": "{status: 200}",
}

// wrongCompany writes a second arm of a union beside the first.
func wrongCompany(s *site, _ []*site) []*mutant {
	var out []*mutant
	if s.above == nil || !s.above.place.isStruct() {
		return nil
	}
	for _, u := range unions {
		if !slices.Contains(u, s.label) {
			continue
		}
		for _, arm := range u {
			if p := s.above.place.names[arm]; p != nil && arm != s.label && armOf[arm] != "" {
				m := s.above.having("a second arm beside "+s.label, arm+": "+armOf[arm])
				if m != nil {
					m.site = s
				}
				out = append(out, m)
			}
		}
	}
	return out
}

// wrongSum makes values that do not go together.
func wrongSum(s *site, all []*site) []*mutant {
	var out []*mutant
	f := s.place.field
	switch {
	case strings.HasSuffix(f, ".routes.*.to.*"):
		now, err := strconv.ParseFloat(s.value.(*ast.BasicLit).Value, 64)
		if err == nil && now >= 1 {
			out = append(out, s.with("weights that are not all", strconv.FormatFloat(now-0.5, 'f', 2, 64)))
		}
		out = append(out, s.with("a weight above a hundred", "100.5"), s.with("a weight with three decimals", "1.125"))
	case strings.HasSuffix(f, ".ports.*.number"):
		for _, o := range all {
			if o.place == s.place && o != s && o.file == s.file && o.above.above.above == s.above.above.above {
				out = append(out, s.with("the number of another port", o.value.(*ast.BasicLit).Value))
			}
		}
	case strings.HasSuffix(f, ".before"), strings.HasSuffix(f, ".after"):
		out = append(out, s.with("an order with itself", "["+strconv.Quote(s.above.label)+"]"))
	case strings.HasSuffix(f, ".range.from"):
		out = append(out, s.with("a range that ends before it begins", "5000"))
	case strings.HasSuffix(f, ".backoff.base"):
		if s.sibling(all, "max") != nil {
			out = append(out, s.with("a first pause above the last", `"1000h"`))
		}
	case strings.HasSuffix(f, ".ring.min"):
		if s.sibling(all, "max") != nil {
			out = append(out, s.with("a least above the most", "8388608"))
		}
	}
	return out
}
