package load

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/target"
)

// reader decodes sound values; the first thing that it cannot read is a bug
// and stays in err.
type reader struct {
	err error
	at  diag.Range

	features []intent.Feature // what was read and not every proxy serves
	written  map[string]bool  // fields that were read, for those who ask
}

// datum is one place of the evaluated mesh: what it holds, and where it was
// written.
type datum interface {
	Kind() cue.Kind
	String() (string, error)
	Int64() (int64, error)
	Bool() (bool, error)
	// decimal gives a number as the decimal text that was written.
	decimal() (string, error)
	field(name string) (datum, bool)
	fields() ([]datum, error)   // in any order
	elements() ([]datum, error) // of a list
	name() string               // the last label of the path
	path() string
	label() diag.Range
	place() diag.Range // of the value
}

// cursor is one place of the evaluated mesh while it is decoded.
type cursor struct {
	r *reader
	v datum
	s *shape // of the place, in the schema
}

func (c cursor) fail(err error) {
	if c.r.err == nil {
		c.r.err, c.r.at = fmt.Errorf("%s: %w", c.v.path(), err), c.label()
	}
}

func (c cursor) label() diag.Range { return c.v.label() }

// name is the last label of the path, which the user chose.
func (c cursor) name() intent.Value[string] {
	return intent.Value[string]{V: c.v.name(), At: c.label()}
}

// field finds a field that was written.
func (c cursor) field(name string) (cursor, bool) {
	v, ok := c.v.field(name)
	if !ok {
		return cursor{}, false
	}
	return c.down(v), true
}

// down goes to a field, an entry or an element below.
func (c cursor) down(v datum) cursor {
	below := cursor{r: c.r, v: v, s: c.s.child(v.name())}
	below.note(below.s.row)
	if c.r.written != nil {
		c.r.written[below.s.field] = true
	}
	return below
}

// note keeps what not every proxy serves.
func (c cursor) note(row *target.Row) {
	if row == nil || !row.Restricted() {
		return
	}
	if f := (intent.Feature{Row: row.Field, At: c.label()}); !slices.Contains(c.r.features, f) {
		c.r.features = append(c.r.features, f)
	}
}

// required is a field that the schema demands.
func (c cursor) required(name string) cursor {
	f, ok := c.field(name)
	if !ok {
		c.fail(fmt.Errorf("%s is missing", name))
		return cursor{r: c.r, v: nothing{c.v}, s: c.s.child(name)}
	}
	return f
}

// entries gives the fields of a map in the order of the source.
func (c cursor) entries(name string) []cursor {
	m, ok := c.field(name)
	if !ok {
		return nil
	}
	all, err := m.v.fields()
	if err != nil {
		m.fail(err)
		return nil
	}
	return m.sorted(all)
}

// sorted goes down to each, in the order of the source.
func (c cursor) sorted(all []datum) []cursor {
	out := c.all(all)
	slices.SortStableFunc(out, func(a, b cursor) int { return a.label().Compare(b.label()) })
	return out
}

// elements gives the elements of a list; nil when it was not written.
func (c cursor) elements(name string) []cursor {
	l, ok := c.field(name)
	if !ok {
		return nil
	}
	return l.list()
}

func (c cursor) list() []cursor {
	all, err := c.v.elements()
	if err != nil {
		c.fail(err)
		return nil
	}
	return c.all(all)
}

func (c cursor) all(data []datum) []cursor {
	out := make([]cursor, len(data))
	for i, v := range data {
		out[i] = c.down(v)
	}
	return out
}

func (c cursor) text() intent.Value[string] {
	s, err := c.v.String()
	if err != nil {
		c.fail(err)
	}
	if row := target.FindValue(c.s.field, s); row != nil {
		c.note(row)
		if c.r.written != nil {
			c.r.written[row.Field] = true
		}
	}
	return intent.Value[string]{V: s, At: c.v.place()}
}

func (c cursor) number() intent.Value[int] {
	n, err := c.v.Int64()
	if err != nil {
		c.fail(err)
	}
	return intent.Value[int]{V: int(n), At: c.v.place()}
}

// decimal gives a number as the decimal text that was written: exact, because
// CUE's numbers are decimals and no float is ever made of them.
func (c cursor) decimal() intent.Value[string] {
	text, err := c.v.decimal()
	if err != nil {
		c.fail(err)
	}
	return intent.Value[string]{V: text, At: c.v.place()}
}

// decimalText writes mantissa × 10^exponent without an exponent, unless that
// would be a long row of zeros.
func decimalText(mantissa *big.Int, exponent int) string {
	const longest = 40
	digits, sign := strings.TrimPrefix(mantissa.String(), "-"), ""
	if mantissa.Sign() < 0 {
		sign = "-"
	}
	switch {
	case exponent > longest || exponent < -longest:
		return sign + digits + "e" + strconv.Itoa(exponent)
	case exponent >= 0:
		return sign + digits + strings.Repeat("0", exponent)
	}
	if missing := 1 - exponent - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) + exponent
	return sign + digits[:point] + "." + digits[point:]
}

func (c cursor) truth() intent.Value[bool] {
	b, err := c.v.Bool()
	if err != nil {
		c.fail(err)
	}
	return intent.Value[bool]{V: b, At: c.v.place()}
}

// optionalText gives a field's text; nil when it was not written.
func (c cursor) optionalText(name string) *intent.Value[string] {
	f, ok := c.field(name)
	if !ok {
		return nil
	}
	t := f.text()
	return &t
}

// optionalTruth gives a field's truth; nil when it was not written.
func (c cursor) optionalTruth(name string) *intent.Value[bool] {
	f, ok := c.field(name)
	if !ok {
		return nil
	}
	t := f.truth()
	return &t
}

// texts gives a list of texts; nil when it was not written.
func (c cursor) texts(name string) []intent.Value[string] { return texts(c.elements(name)) }

func texts(elements []cursor) []intent.Value[string] {
	if elements == nil {
		return nil
	}
	out := make([]intent.Value[string], len(elements))
	for i, e := range elements {
		out[i] = e.text()
	}
	return out
}

// pairs gives a map of texts in the order of the source.
func (c cursor) pairs(name string) []*intent.KV { return each(c.entries(name), cursor.pair) }

func (c cursor) pair() *intent.KV { return &intent.KV{Key: c.name(), Value: c.text()} }

// each decodes a list; nil stays nil.
func each[T any](all []cursor, decode func(cursor) T) []T {
	if all == nil {
		return nil
	}
	out := make([]T, len(all))
	for i, c := range all {
		out[i] = decode(c)
	}
	return out
}
