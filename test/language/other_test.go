package language

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
)

// others makes mutants of a site that may be as right as it is: other values
// of its type and meaning, those that other meshes write there, other names, and
// last the mesh without it. Which of them are is for the compiler to say.
func others(s *site, n *names, written map[string][]string) []*mutant {
	var out []*mutant
	values := otherValues(s, n)
	for _, v := range append(values, written[s.place.field]...) {
		if lit, ok := s.value.(*ast.BasicLit); !ok || lit.Value != v {
			out = append(out, s.with("another value", v))
		}
	}
	if strings.HasSuffix(s.place.field, ".*") {
		for _, name := range append(n.like(s.label), s.label+"x") {
			if m := s.renamed("another name", strconv.Quote(name)); m != nil {
				out = append(out, m)
			}
		}
	}
	out = append(out, s.gone())
	if s.place.want == aBool || strings.HasPrefix(s.place.want, "one of ") {
		out = append(out, s.without(values)...)
	}
	return append(out, s.holder(written)...)
}

// holder makes mutants of what holds nothing but the site, which may not be
// empty: without the site it says nothing.
func (s *site) holder(written map[string][]string) []*mutant {
	if s.above == nil || s.above.above == nil || elements(s.above.value) != 1 {
		return nil
	}
	out := []*mutant{s.above.gone()}
	for _, v := range written[s.above.place.field] {
		out = append(out, s.above.with("", v))
	}
	for _, m := range out {
		m.kind = inHolder
	}
	return out
}

func elements(v ast.Expr) int {
	switch v := v.(type) {
	case *ast.StructLit:
		return len(v.Elts)
	case *ast.ListLit:
		return len(v.Elts)
	}
	return 0
}

// without gives a site other values, each without the fields beside it, or without
// one of them: those of one kind may be wrong for the other.
func (s *site) without(values []string) []*mutant {
	if s.above == nil || s.above.braces() == nil {
		return nil
	}
	lit, ok := s.value.(*ast.BasicLit)
	if !ok {
		return nil
	}
	values = slices.DeleteFunc(values, func(v string) bool { return v == lit.Value })
	var out []*mutant
	alone := func(v string) *mutant { return s.above.with("", "{"+s.label+": "+v+"}") }
	for _, v := range values {
		m := alone(v)
		m.against = alone(lit.Value)
		out = append(out, m)
	}
	for _, d := range s.above.fields() {
		gone := (&site{file: s.file, node: d, above: s.above}).gone()
		for _, v := range values {
			m := s.with("", v)
			if d == s.node || gone.edit.start < m.edit.end && m.edit.start < gone.edit.end {
				continue
			}
			m.also, m.against = &gone.edit, gone
			out = append(out, m)
		}
	}
	for _, m := range out {
		m.kind = inHolder
	}
	return out
}

var words = regexp.MustCompile(`"[^"]*"`)

func otherValues(s *site, n *names) []string {
	value, isText := s.text()
	switch want := s.place.want; {
	case strings.HasPrefix(want, "one of "):
		return words.FindAllString(want, -1)
	case want == aBool:
		return []string{"true", "false"}
	case isText:
		return quoted(otherTexts(s, value, n))
	}
	if lit, ok := s.value.(*ast.BasicLit); ok && (lit.Value == "true" || lit.Value == "false") {
		return []string{"true", "false"}
	}
	if number, ok := s.number(); ok {
		return otherNumbers(number)
	}
	return nil
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = strconv.Quote(v)
	}
	return out
}

func otherTexts(s *site, value string, n *names) []string {
	switch f := s.place.field; {
	case duration.MatchString(value):
		return otherDurations(value)
	case strings.HasSuffix(f, ".until"):
		return []string{"2020-01-01T00:00:00Z", "2098-01-01T00:00:00Z"}
	case strings.Contains(value, "://"):
		return append(n.beside(f, value), value+".example", value+"/x")
	case strings.HasPrefix(value, "GET") || strings.HasSuffix(f, "ethod") || strings.HasSuffix(f, "ethods.[]"):
		return []string{"PATCH", "DELETE"}
	case strings.Contains(value, "/") && regexp.MustCompile(`^[0-9.]+/`).MatchString(value):
		return []string{"172.16.0.0/12"}
	default:
		out := append(n.like(value), n.beside(f, value)...)
		return append(out, value+"x", "x"+value, value+"/x", "x."+value, "503", "reset", "5xx")
	}
}

// otherDurations are near ones, which may stand between the same others, and
// far ones.
func otherDurations(now string) []string {
	var out []string
	if d, err := time.ParseDuration(now); err == nil {
		for _, near := range []time.Duration{d + time.Millisecond, d - time.Millisecond, d + time.Second, d - time.Second, 2 * d, d / 2} {
			if near >= 0 {
				out = append(out, strconv.FormatInt(near.Milliseconds(), 10)+"ms")
			}
		}
	}
	return append(out, "2s", "900ms", "70s", "400s", "20ms")
}

// number is a number as it is written, with its sign.
func (s *site) number() (float64, bool) {
	sign, value := 1.0, s.value
	if u, ok := value.(*ast.UnaryExpr); ok {
		sign, value = -1, u.X
	}
	lit, ok := value.(*ast.BasicLit)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(lit.Value, 64)
	return sign * v, err == nil
}

// otherNumbers are near and far ones.
func otherNumbers(n float64) []string {
	var out []string
	for _, v := range []float64{n + 1, n - 1, n / 2, n * 2, 1, 0.5, 308, 65539} {
		out = append(out, strconv.FormatFloat(v, 'f', -1, 64))
	}
	return out
}

// nothing is what a mutant says that takes a site away, inHolder what one says that
// changes all that the site is the only part of.
const (
	nothing  = "nothing"
	inHolder = "in the place of what it stands in"
)

// gone is the mesh without the site. Where it is all that a label says, an
// empty struct stays.
func (s *site) gone() *mutant {
	m := &mutant{kind: nothing, site: s, line: s.node.Pos().Line()}
	m.edit = edit{s.node.Pos().Offset(), s.node.End().Offset(), ""}
	var before, after ast.Node
	switch v := enclosing(s).(type) {
	case *ast.StructLit:
		if !v.Lbrace.IsValid() {
			m.edit.text = "{}"
			return m
		}
		before, after = neighbours(v.Elts, s.node)
	case *ast.ListLit:
		before, after = neighbours(v.Elts, s.node)
	}
	switch {
	case after != nil && after.Pos().Line() == s.node.End().Line():
		m.edit.end = after.Pos().Offset()
	case before != nil && before.End().Line() == s.node.Pos().Line():
		m.edit.start = before.End().Offset()
	}
	return m
}

func enclosing(s *site) ast.Expr {
	if s.above == nil {
		return nil
	}
	return s.above.value
}

// fields are those that a site's struct writes.
func (s *site) fields() []ast.Decl {
	if v, ok := s.value.(*ast.StructLit); ok {
		return v.Elts
	}
	return nil
}

// textField is the label of a field, and the text that it says.
func textField(d ast.Decl) (label, text string) {
	f, ok := d.(*ast.Field)
	if !ok {
		return "", ""
	}
	label, _, err := ast.LabelName(f.Label)
	lit, isLit := f.Value.(*ast.BasicLit)
	if err != nil || !isLit {
		return label, ""
	}
	if text, err = literal.Unquote(lit.Value); err != nil {
		return label, ""
	}
	return label, text
}

func neighbours[T ast.Node](list []T, of ast.Node) (before, after ast.Node) {
	i := slices.IndexFunc(list, func(n T) bool { return ast.Node(n) == of })
	if i > 0 {
		before = list[i-1]
	}
	if i >= 0 && i+1 < len(list) {
		after = list[i+1]
	}
	return before, after
}
