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
	if n, ok := s.remembered(application{op, a, b}); ok {
		return n
	}
	variable := s.first(a, b)
	n := s.node(variable, s.merge(op, s.runs(a, variable), s.runs(b, variable)))
	if !s.over {
		s.remember(application{op, a, b}, n)
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

// stretches are the runs of a function by some variable; one without any is the
// same function everywhere.
type stretches struct {
	runs []Run
	all  Run
}

// runs of a function by a variable that it may not test at all.
func (s *Store) runs(n Node, variable int32) stretches {
	if n > 0 && s.nodes[n].variable == variable {
		return stretches{runs: s.of(n)}
	}
	return stretches{all: Run{s.sizes[variable], n}}
}

// size of the variable.
func (r *stretches) size() int32 {
	if r.runs == nil {
		return r.all.End
	}
	return r.runs[len(r.runs)-1].End
}

// at is run i.
func (r *stretches) at(i int) Run {
	if r.runs == nil {
		return r.all
	}
	return r.runs[i]
}

// merge makes the runs of a combination, and says from where on they are made.
func (s *Store) merge(op operation, a, b stretches) (base int) {
	base = len(s.made)
	size := max(a.size(), b.size())
	for i, j, end := 0, 0, int32(0); end < size; {
		s.left.Steps--
		x, y := a.at(i), b.at(j)
		end = min(x.End, y.End)
		s.extend(base, Run{end, s.apply(op, x.To, y.To)})
		if x.End == end {
			i++
		}
		if y.End == end {
			j++
		}
	}
	return base
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
