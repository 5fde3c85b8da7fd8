package language

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
)

// others makes mutants of a site that may be as right as it is: other values
// of its type and meaning, and last the mesh without it. Which of them are is
// for the compiler to say.
func others(s *site) []*mutant {
	var out []*mutant
	add := func(values ...string) {
		for _, v := range values {
			if lit, ok := s.value.(*ast.BasicLit); !ok || lit.Value != v {
				out = append(out, s.with("another value", v))
			}
		}
	}
	words := regexp.MustCompile(`"[^"]*"`)
	value, isText := s.text()
	switch want := s.place.want; {
	case strings.HasPrefix(want, "one of "):
		add(words.FindAllString(want, -1)...)
	case want == aBool:
		add("true", "false")
	case isText:
		add(quoted(otherTexts(s, value))...)
	default:
		if lit, ok := s.value.(*ast.BasicLit); ok {
			add(otherNumbers(lit.Value)...)
		}
	}
	return append(out, s.gone())
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = strconv.Quote(v)
	}
	return out
}

func otherTexts(s *site, value string) []string {
	switch f := s.place.field; {
	case duration.MatchString(value):
		return []string{"2s", "900ms", "4s", "70s", "400s", "20ms"}
	case strings.HasSuffix(f, ".until"):
		return []string{"2020-01-01T00:00:00Z", "2098-01-01T00:00:00Z"}
	case strings.Contains(value, "://"):
		return []string{value + ".example"}
	case strings.HasPrefix(value, "GET") || strings.HasSuffix(f, "ethod") || strings.HasSuffix(f, "ethods.[]"):
		return []string{"PATCH", "DELETE"}
	case strings.Contains(value, "/") && regexp.MustCompile(`^[0-9.]+/`).MatchString(value):
		return []string{"172.16.0.0/12"}
	}
	return []string{value + "x", "x" + value, value + "/x", "x." + value, "503", "reset", "5xx"}
}

// otherNumbers are near and far ones.
func otherNumbers(now string) []string {
	n, err := strconv.ParseFloat(now, 64)
	if err != nil {
		return nil
	}
	var out []string
	for _, v := range []float64{n + 1, n - 1, n / 2, n * 2, 1, 0.5, 308, 65539} {
		out = append(out, strconv.FormatFloat(v, 'f', -1, 64))
	}
	return out
}

// nothing is what a mutant says that takes a site away.
const nothing = "nothing"

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
