package reach

import "github.com/meshc/meshc/compiler/reach/diagram"

// Rule gives the requests of a set an outcome, a number from 0.
type Rule struct {
	When Set
	Then int
}

// FirstMatch is the function of a table: the outcome of the first rule that
// holds, and otherwise where none does.
func (s *Space) FirstMatch(rules []Rule, otherwise int) (Function, error) {
	f, err := s.table(rules)
	if err == nil {
		f, err = s.store.OrElse(f, diagram.Leaf(otherwise+1))
	}
	if err != nil {
		return Function{}, unknown("the table of rules", err)
	}
	return Function{f}, nil
}

// table gives outcome+1, and 0 where no rule holds.
func (s *Space) table(rules []Rule) (diagram.Node, error) {
	switch len(rules) {
	case 0:
		return diagram.Leaf(0), nil
	case 1:
		return s.store.Label(rules[0].When.node, rules[0].Then+1)
	}
	half := len(rules) / 2
	earlier, err := s.table(rules[:half])
	if err != nil {
		return 0, err
	}
	later, err := s.table(rules[half:])
	if err != nil {
		return 0, err
	}
	return s.store.OrElse(earlier, later)
}

// Outcome of one request; ok is false when r has a value that no request has.
func (s *Space) Outcome(f Function, r *Request) (outcome int, ok bool) {
	value, ok := s.Place(r).value(f.node)
	return value - 1, ok
}

// Outcomes lists what f does anywhere, ascending.
func (s *Space) Outcomes(f Function) []int {
	values := s.store.Values(f.node)
	for i := range values {
		values[i]--
	}
	return values
}

// Where is the set of requests to which f gives the outcome.
func (s *Space) Where(f Function, outcome int) (Set, error) {
	return s.set(s.store.Equals(f.node, outcome+1))
}

// Region is a set of requests that two functions treat alike among themselves.
type Region struct {
	Before, After int // outcomes
	Set           Set
}

// Compare gives, for every pair of outcomes that occurs, the requests to which
// before gives the one and after the other. Together the regions are the whole
// space; where Before and After differ, requests are treated differently.
func (s *Space) Compare(before, after Function) ([]Region, error) {
	pairs, err := s.store.Together(before.node, after.node)
	if err != nil {
		return nil, unknown("the comparison of tables", err)
	}
	var out []Region
	for _, number := range s.store.Values(pairs) {
		where, err := s.store.Equals(pairs, number)
		if err != nil {
			return nil, unknown("the comparison of tables", err)
		}
		b, a := s.store.Pair(number)
		out = append(out, Region{b - 1, a - 1, Set{where}})
	}
	return out, nil
}
