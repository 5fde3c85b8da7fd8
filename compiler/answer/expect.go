package answer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/literal"
)

// Expectation is what an answer is to be, in a few words.
type Expectation struct {
	text     string
	outcome  Outcome           // "" for any
	route    string            // "" for any
	timeout  string            // "" for any
	versions map[string]uint32 // basis points by version, which are all that there are; nil for any
}

// outcomes that may be expected.
var outcomes = []Outcome{
	Allowed, Denied, Unknown, NoRoute, UnknownHost, NotDeclared, NoListener, NoHost, Redirected, Answered, OutsideMesh,
}

// ParseExpectation reads terms that must all hold, separated by commas: an
// outcome ("denied"), a version that gets everything ("v2"), versions with
// percentages ("v1=90,v2=10"), "route=NAME" or "timeout=3s".
func ParseExpectation(text string) (*Expectation, error) {
	e := &Expectation{text: text}
	for term := range strings.SplitSeq(text, ",") {
		if err := e.term(strings.TrimSpace(term)); err != nil {
			return nil, err
		}
	}
	var sum uint32
	for _, share := range e.versions {
		sum += share
	}
	if e.versions != nil && sum != wholeBasisPoints {
		return nil, fmt.Errorf("expectation %q: the percentages add up to %s, not 100", text, literal.FormatPercent(sum))
	}
	return e, nil
}

const wholeBasisPoints = 10_000

func (e *Expectation) term(term string) error {
	name, value, ok := strings.Cut(term, "=")
	switch {
	case name == "":
		return fmt.Errorf("expectation %q: a term is empty", e.text)
	case !ok && slices.Contains(outcomes, Outcome(term)):
		e.outcome = Outcome(term)
	case ok && value == "":
		return fmt.Errorf("expectation %q: %q says nothing", e.text, term)
	case ok && name == "route":
		e.route = value
	case ok && name == "timeout":
		e.timeout = value
	default:
		share := uint32(wholeBasisPoints)
		if ok {
			var err error
			if share, err = literal.Percent(value); err != nil {
				return fmt.Errorf("expectation %q: %s: %w", e.text, name, err)
			}
		}
		if e.versions == nil {
			e.versions = map[string]uint32{}
		}
		e.versions[name] += share
	}
	return nil
}

// String gives the text that was read.
func (e *Expectation) String() string { return e.text }

// Holds says whether an answer is as expected. Where versions are expected, the
// request must be let in to them.
func (e *Expectation) Holds(a *Answer) bool {
	if e.outcome != "" && a.Outcome != e.outcome {
		return false
	}
	if e.route+e.timeout == "" && e.versions == nil {
		return true
	}
	if a.Route == nil || e.route != "" && a.Route.Name != e.route || e.timeout != "" && a.Route.Timeout != e.timeout {
		return false
	}
	return e.versions == nil || a.Outcome == Allowed && e.split(a.Route.Split)
}

func (e *Expectation) split(list []Destination) bool {
	shares := map[string]uint32{}
	for _, d := range list {
		share, err := literal.Percent(d.Percent)
		if err != nil {
			return false
		}
		shares[d.Version] += share
	}
	for version, share := range shares {
		if share != e.versions[version] {
			return false
		}
	}
	for version, share := range e.versions {
		if share != shares[version] {
			return false
		}
	}
	return true
}

// Summary says in one line what an answer is, as an expectation says it.
func (a *Answer) Summary() string {
	out := string(a.Outcome)
	if a.Route == nil {
		return out
	}
	for _, d := range a.Route.Split {
		if d.Version != "" {
			out += fmt.Sprintf(", %s=%s", d.Version, d.Percent)
		}
	}
	return fmt.Sprintf("%s, route=%s, timeout=%s", out, a.Route.Name, a.Route.Timeout)
}
