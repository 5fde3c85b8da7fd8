package diagram

// operation combines two functions point by point.
type operation uint8

const (
	and      operation = iota // of sets
	or                        // of sets
	minus                     // of sets
	label                     // of a set and a constant: the constant in the set, 0 outside
	orElse                    // of functions: the first where it is not 0, else the second
	equals                    // of a function and a constant: the set where it has that value
	together                  // of functions: the number of the pair of their values
)

type application struct {
	op   operation
	a, b Node
}

// And is the intersection of two sets.
func (s *Store) And(a, b Node) (Node, error) { return s.result(s.apply(and, a, b)) }

// Or is the union of two sets.
func (s *Store) Or(a, b Node) (Node, error) { return s.result(s.apply(or, a, b)) }

// Minus is what of set a is not in set b.
func (s *Store) Minus(a, b Node) (Node, error) { return s.result(s.apply(minus, a, b)) }

// Not is the complement of a set.
func (s *Store) Not(a Node) (Node, error) { return s.Minus(True, a) }

// Label is the function that is value in the set and 0 outside.
func (s *Store) Label(set Node, value int) (Node, error) {
	return s.result(s.apply(label, set, Leaf(value)))
}

// OrElse is first where that is not 0, and second elsewhere.
func (s *Store) OrElse(first, second Node) (Node, error) {
	return s.result(s.apply(orElse, first, second))
}

// Equals is the set where f has the value.
func (s *Store) Equals(f Node, value int) (Node, error) {
	return s.result(s.apply(equals, f, Leaf(value)))
}

// Together is the function whose value is the number of the pair of values of
// f and g; Pair reads it.
func (s *Store) Together(f, g Node) (Node, error) { return s.result(s.apply(together, f, g)) }

// Pair gives the two values that a number of Together stands for.
func (s *Store) Pair(number int) (f, g int) { return s.paired[number][0], s.paired[number][1] }

func (s *Store) apply(op operation, a, b Node) Node {
	if n, ok := s.simple(op, a, b); ok {
		return n
	}
	if s.left.Steps < 0 || s.over {
		s.over = true
		return False
	}
	if b < a && (op == and || op == or) {
		a, b = b, a
	}
	key := application{op, a, b}
	if n, ok := s.memo[key]; ok {
		return n
	}
	variable := s.first(a, b)
	n := s.node(variable, s.merge(op, s.runs(a, variable), s.runs(b, variable)))
	if !s.over {
		s.memo[key] = n
	}
	return n
}

// first is the earlier one of the variables that a and b test; one of them
// tests one.
func (s *Store) first(a, b Node) int32 {
	switch {
	case a <= 0:
		return s.nodes[b].variable
	case b <= 0:
		return s.nodes[a].variable
	}
	return min(s.nodes[a].variable, s.nodes[b].variable)
}

// runs of a function by a variable that it may not test at all.
func (s *Store) runs(n Node, variable int32) []Run {
	if n > 0 && s.nodes[n].variable == variable {
		return s.nodes[n].runs
	}
	return []Run{{s.sizes[variable], n}}
}

func (s *Store) merge(op operation, a, b []Run) []Run {
	var out []Run
	for i, j := 0, 0; i < len(a) && j < len(b); {
		s.left.Steps--
		end := min(a[i].End, b[j].End)
		out = extend(out, Run{end, s.apply(op, a[i].To, b[j].To)})
		if a[i].End == end {
			i++
		}
		if b[j].End == end {
			j++
		}
	}
	return out
}

// simple decides what needs no look at variables.
func (s *Store) simple(op operation, a, b Node) (Node, bool) {
	switch op {
	case and:
		switch {
		case a == False || b == True || a == b:
			return a, true
		case b == False || a == True:
			return b, true
		}
	case or:
		switch {
		case a == True || b == False || a == b:
			return a, true
		case b == True || a == False:
			return b, true
		}
	case minus:
		switch {
		case a == False || b == False:
			return a, true
		case b == True || a == b:
			return False, true
		}
	case orElse:
		switch {
		case a == Leaf(0) || a == b:
			return b, true
		case a <= 0 || b == Leaf(0):
			return a, true
		}
	default:
		return s.constants(op, a, b)
	}
	return 0, false
}

func (s *Store) constants(op operation, a, b Node) (Node, bool) {
	switch {
	case op == together && a <= 0 && b <= 0:
		return s.pair(a, b), true
	case op == label && a == False:
		return Leaf(0), true
	case op == label && a == True:
		return b, true
	case op == equals && a == b:
		return True, true
	case op == equals && a <= 0:
		return False, true
	}
	return 0, false
}

func (s *Store) pair(a, b Node) Node {
	key := [2]Node{a, b}
	number, ok := s.pairs[key]
	if !ok {
		number = len(s.paired)
		s.pairs[key] = number
		s.paired = append(s.paired, [2]int{int(-a), int(-b)})
	}
	return Leaf(number)
}
