package gen

import (
	"fmt"
	"strconv"
	"strings"
)

// source is one CUE file while it is written.
type source struct {
	strings.Builder
	depth int
}

func newSource() *source {
	s := &source{}
	s.line("package mesh")
	return s
}

func (s *source) line(format string, args ...any) {
	s.WriteString(strings.Repeat("\t", s.depth))
	fmt.Fprintf(&s.Builder, format, args...)
	s.WriteByte('\n')
}

// open begins a struct under label, close ends it.
func (s *source) open(label string) {
	s.line("%s: {", label)
	s.depth++
}

func (s *source) close() {
	s.depth--
	s.line("}")
}

func quote(v string) string { return strconv.Quote(v) }

// list is a CUE list of strings.
func list(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
