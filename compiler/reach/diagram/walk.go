package diagram

import "slices"

// Values lists the values that f takes anywhere, ascending.
func (s *Store) Values(f Node) []int {
	var out []int
	s.Each(f, func(n Node) {
		if v, ok := n.Constant(); ok {
			out = append(out, v)
		}
	})
	slices.Sort(out)
	return out
}

// Each calls visit once for every node that f leads to, f and constants
// included.
func (s *Store) Each(f Node, visit func(Node)) {
	seen := map[Node]bool{f: true}
	for work := []Node{f}; len(work) > 0; {
		n := work[len(work)-1]
		work = work[:len(work)-1]
		visit(n)
		if n <= 0 {
			continue
		}
		for _, r := range s.of(n) {
			if !seen[r.To] {
				seen[r.To] = true
				work = append(work, r.To)
			}
		}
	}
}

// Fix is f where variable has the value: a function that no longer tests it.
func (s *Store) Fix(f Node, variable, value int) (Node, error) {
	return s.result(s.fix(f, int32(variable), int32(value), map[Node]Node{}))
}

func (s *Store) fix(f Node, variable, value int32, done map[Node]Node) Node {
	if f <= 0 || s.nodes[f].variable > variable || s.over {
		return f
	}
	if n, ok := done[f]; ok {
		return n
	}
	runs := s.of(f)
	s.left.Steps -= len(runs)
	if s.nodes[f].variable == variable {
		i := slices.IndexFunc(runs, func(r Run) bool { return value < r.End })
		return runs[i].To
	}
	base := len(s.made)
	for _, r := range runs {
		s.extend(base, Run{r.End, s.fix(r.To, variable, value, done)})
	}
	n := s.node(s.nodes[f].variable, base)
	done[f] = n
	return n
}

// Exists is the set of points that lie in set for some value of every variable
// that drop names.
func (s *Store) Exists(set Node, drop func(variable int) bool) (Node, error) {
	return s.result(s.exists(set, drop, map[Node]Node{}))
}

func (s *Store) exists(f Node, drop func(variable int) bool, done map[Node]Node) Node {
	if f <= 0 || s.over {
		return f
	}
	if n, ok := done[f]; ok {
		return n
	}
	variable, runs := s.nodes[f].variable, s.of(f)
	s.left.Steps -= len(runs)
	var n Node
	if drop(int(variable)) {
		for _, r := range runs {
			n = s.apply(or, n, s.exists(r.To, drop, done))
		}
	} else {
		base := len(s.made)
		for _, r := range runs {
			s.extend(base, Run{r.End, s.exists(r.To, drop, done)})
		}
		n = s.node(variable, base)
	}
	done[f] = n
	return n
}
