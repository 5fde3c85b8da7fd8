// Package diag holds what meshc says about what the user wrote: a Diagnostic
// with a stable code and a range in the user's file, and a List of them.
// It is a leaf: every compiler package may import it, it imports none.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity orders diagnostics; only Error makes vet answer "no".
type Severity uint8

// Severities, least first.
const (
	Info Severity = iota
	Warning
	Error
)

// String gives the word printed before the code: "info", "warning", "error".
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	default:
		return "error"
	}
}

// MarshalText gives the word, so that JSON says "error" and not a number.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText gives.
func (s *Severity) UnmarshalText(text []byte) error {
	for _, known := range []Severity{Info, Warning, Error} {
		if string(text) == known.String() {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("unknown severity %q", text)
}

// Pos is a place in a file of the mesh. Line and Col count from 1, Col in
// bytes. The zero Pos means "no place".
type Pos struct {
	Line int32 `json:"line"` // 32 bits: places are a third of what a mesh takes in memory
	Col  int32 `json:"col"`
}

// NewPos gives a place in a file, whose size load bounds.
func NewPos(line, col int) Pos { return Pos{Line: int32(line), Col: int32(col)} }

// Range is a half-open stretch of one file: from Start up to, not including,
// End. File is slash-separated and relative to the module root. The zero Range
// means "no place is known".
type Range struct {
	File  string `json:"file"`
	Start Pos    `json:"start"`
	End   Pos    `json:"end"`
}

// IsZero says that no place is known.
func (r Range) IsZero() bool { return r == Range{} }

// String gives "file:line:col", or "" for the zero Range.
func (r Range) String() string {
	if r.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", r.File, r.Start.Line, r.Start.Col)
}

// Compare orders ranges by file, then line, then column.
func (r Range) Compare(o Range) int {
	if c := strings.Compare(r.File, o.File); c != 0 {
		return c
	}
	if c := r.Start.compare(o.Start); c != 0 {
		return c
	}
	return r.End.compare(o.End)
}

func (p Pos) compare(o Pos) int {
	if p.Line != o.Line {
		return cmp.Compare(p.Line, o.Line)
	}
	return cmp.Compare(p.Col, o.Col)
}

// Related points at a second place that helps to understand a Diagnostic.
type Related struct {
	Range   Range  `json:"range"`
	Message string `json:"message"`
}

// Diagnostic is one finding about what the user wrote. Message says what is
// wrong, lower-case, without a full stop; Help says how to mend it.
type Diagnostic struct {
	Code     Code      `json:"code"`
	Severity Severity  `json:"severity"`
	Range    Range     `json:"range"`
	Message  string    `json:"message"`
	Why      string    `json:"why,omitempty"`
	Help     string    `json:"help,omitempty"`
	Witness  string    `json:"witness,omitempty"` // a request that shows it
	Related  []Related `json:"related,omitempty"`
	Fix      *Fix      `json:"fix,omitempty"`
}

// List collects diagnostics. The zero List is ready to use.
type List []Diagnostic

// Add appends d.
func (l *List) Add(d Diagnostic) { *l = append(*l, d) }

// Sort orders by place, then code, then message, so that output is stable.
func (l List) Sort() {
	for i := 1; i < len(l); i++ {
		if Compare(&l[i-1], &l[i]) > 0 {
			slices.SortStableFunc(l, func(a, b Diagnostic) int { return Compare(&a, &b) })
			return
		}
	}
}

// Compare orders by place, code and message.
func Compare(d, o *Diagnostic) int {
	if c := d.Range.Compare(o.Range); c != 0 {
		return c
	}
	if c := strings.Compare(string(d.Code), string(o.Code)); c != 0 {
		return c
	}
	return strings.Compare(d.Message, o.Message)
}

// Join makes one sorted list of two.
func Join(a, b List) List {
	out := make(List, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if Compare(&a[0], &b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// HasErrors says whether any diagnostic is an Error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// Count gives the number of diagnostics of one severity.
func (l List) Count(s Severity) int {
	n := 0
	for _, d := range l {
		if d.Severity == s {
			n++
		}
	}
	return n
}

// CountCode gives the number of diagnostics of one code.
func (l List) CountCode(c Code) int {
	n := 0
	for i := range l {
		if l[i].Code == c {
			n++
		}
	}
	return n
}

// Code is "MSHnnnn"; the blocks are in docs/ARCHITECTURE.md.
type Code string

// Reasoned gives a copy in which every diagnostic carries its reason: its own,
// else that of its code.
func (l List) Reasoned() List {
	out := slices.Clone(l)
	for i := range out {
		out[i].Why = out[i].why()
	}
	return out
}
