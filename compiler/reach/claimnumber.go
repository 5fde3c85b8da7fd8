package reach

import (
	"fmt"
	"regexp"
	"sync"

	literals "github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach/automaton"
)

// A number in a token is, as a value of its claim, its decimal text. Proxies
// compare numbers with numbers and know no text of them, so conditions must say
// the same of all of them, or be about one.

// Numbers are those, among values of a claim, for which a condition holds.
type Numbers int

// Numbers.
const (
	NoNumber Numbers = iota
	EveryNumber
	OneNumber // literal.Number reads it
	SomeNumbers
)

// everyNumber matches what literal.Number reads, and hardly anything else.
const everyNumber = `-?(0|[1-9][0-9]*)(\.[0-9]+)?`

var allNumbers = sync.OnceValue(func() *automaton.DFA { return compiledDomain(everyNumber) })

// NumbersOf a condition without its negation. An error is an Unknown.
func NumbersOf(c model.NamedMatch) (Numbers, error) {
	expr := ""
	switch c.Kind {
	case model.Present, model.Absent:
		return EveryNumber, nil
	case model.Exact:
		if _, ok := literals.Number(c.Value); ok {
			return OneNumber, nil
		}
		return NoNumber, nil
	case model.Prefix:
		expr = regexp.QuoteMeta(c.Value) + "(?s:.*)"
	case model.Suffix:
		expr = "(?s:.*)" + regexp.QuoteMeta(c.Value)
	case model.Contains:
		expr = "(?s:.*)" + regexp.QuoteMeta(c.Value) + "(?s:.*)"
	case model.Regex:
		expr = c.Value
	default:
		return NoNumber, fmt.Errorf("claim %q: no condition of kind %q", c.Name, c.Kind)
	}
	n, err := numbersOf(expr)
	if err != nil {
		return NoNumber, unknown(Dim{Claim, c.Name}.String(), err)
	}
	return n, nil
}

func numbersOf(expr string) (Numbers, error) {
	b := &automaton.Budget{Steps: DefaultLimits.Steps, States: DefaultLimits.States}
	holds, err := automaton.Regex(expr, b)
	if err != nil {
		return NoNumber, err
	}
	all := allNumbers()
	others, err := automaton.Minus(all, holds, b)
	if err != nil {
		return NoNumber, err
	}
	if others.Empty() {
		return EveryNumber, nil
	}
	some, err := automaton.Minus(all, others, b)
	if err != nil || some.Empty() {
		return NoNumber, err
	}
	return SomeNumbers, nil
}
