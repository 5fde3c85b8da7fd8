package reach

import (
	"errors"
	"fmt"

	"github.com/meshc/meshc/compiler/reach/automaton"
	"github.com/meshc/meshc/compiler/reach/diagram"
)

// Limits bound the work of one Space.
type Limits struct {
	Steps    int // elementary steps on values, over all coordinates
	States   int // of the automaton of one expression
	Products int // of the automaton of all conditions on one coordinate
	Nodes    int // of decision diagrams
	Merges   int // elementary steps on decision diagrams
}

// DefaultLimits let a question take a few seconds and a few hundred MiB at
// worst.
var DefaultLimits = Limits{Steps: 30_000_000, States: 1 << 14, Products: 1 << 18, Nodes: 1 << 18, Merges: 15_000_000}

// Unknown is the error of a question that could not be decided within Limits.
// It is no answer: neither yes nor no may be concluded from it.
type Unknown struct {
	Where string // the coordinate or step that took too much
	Err   error
}

func (u *Unknown) Error() string { return fmt.Sprintf("not known: %s: %s", u.Where, u.Err) }

// Unwrap gives the limit that was reached.
func (u *Unknown) Unwrap() error { return u.Err }

// IsUnknown says whether err is, or wraps, an Unknown.
func IsUnknown(err error) bool {
	var u *Unknown
	return errors.As(err, &u)
}

// unknown names the place where a limit was reached; other errors pass.
func unknown(where string, err error) error {
	if errors.Is(err, automaton.ErrTooLarge) || errors.Is(err, diagram.ErrTooLarge) {
		return &Unknown{where, err}
	}
	return fmt.Errorf("%s: %w", where, err)
}
