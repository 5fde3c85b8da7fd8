// Package diagram holds functions of several variables, each over a small
// numbered range, as ordered decision diagrams: equal functions are the same
// Node, so that equality is a comparison of integers. A function whose values
// are False and True is a set. Edges are runs of neighbouring numbers, so that
// a variable with thousands of values costs what its function tells apart.
package diagram

import (
	"errors"
	"slices"
)

// ErrTooLarge says that a Store reached its limits.
var ErrTooLarge = errors.New("the decision diagram grows too large")

// Node is a function in its Store. Those up to 0 are constants; the zero Node is
// False.
type Node int32

// Leaf is the function that is value everywhere.
func Leaf(value int) Node { return Node(-value) }

// The constants of sets.
var (
	False = Leaf(0)
	True  = Leaf(1)
)

// Constant gives the value of a function that has only one.
func (n Node) Constant() (value int, ok bool) { return int(-n), n <= 0 }

// Run is a stretch of a variable's numbers, up to but not including End, and
// the function that remains there. It begins where the one before ends.
type Run struct {
	End int32
	To  Node
}

// Limits bound a Store.
type Limits struct{ Nodes, Steps int }

// Store holds nodes over variables that are tested in the order of their
// numbers. It is not safe for concurrent use. Once a limit is reached every
// operation fails with ErrTooLarge.
type Store struct {
	*slabs
	sizes []int32
	most  int // steps
	left  Limits
	over  bool
}

type node struct {
	variable   int32
	begin, end int32 // in the runs of all nodes
	hash       uint32
}

// New gives a store over variables with these numbers of values, none of which
// is 0.
func New(sizes []int32, limits Limits) *Store {
	return &Store{slabs: takeSlabs(), sizes: sizes, most: limits.Steps, left: limits}
}

// Nodes is the number of nodes that were made so far.
func (s *Store) Nodes() int { return len(s.nodes) - 1 }

// Steps is the number of steps that were taken so far.
func (s *Store) Steps() int { return s.most - s.left.Steps }

// Variable that n tests first, and what it does by its value. n is not a
// constant. The runs must not be changed.
func (s *Store) Variable(n Node) (variable int, runs []Run) {
	return int(s.nodes[n].variable), s.of(n)
}

// Among is the set of points at which variable has one of these values, which
// ascend.
func (s *Store) Among(variable int, values []int32) (Node, error) {
	base, end := len(s.made), int32(0)
	for _, v := range values {
		if end < v {
			s.extend(base, Run{v, False})
		}
		end = v + 1
		s.extend(base, Run{end, True})
	}
	if size := s.sizes[variable]; end < size {
		s.extend(base, Run{size, False})
	}
	s.left.Steps -= len(values)
	return s.result(s.node(int32(variable), base))
}

// At gives the value of n at a point.
func (s *Store) At(n Node, point func(variable int) int) int {
	for n > 0 {
		v := int32(point(int(s.nodes[n].variable)))
		runs := s.of(n)
		i, _ := slices.BinarySearchFunc(runs, v+1, func(r Run, v int32) int { return int(r.End - v) })
		n = runs[i].To
	}
	return int(-n)
}

// extend adds a run to those that are made, of which the ones from base on
// belong together; neighbours that lead to the same function are one.
func (s *Store) extend(base int, r Run) {
	if n := len(s.made); n > base && s.made[n-1].To == r.To {
		s.made[n-1].End = r.End
		return
	}
	s.made = append(s.made, r)
}

// node gives the one node with the runs that were made from base on, which it
// takes away.
func (s *Store) node(variable int32, base int) Node {
	runs := s.made[base:]
	s.made = s.made[:base]
	if len(runs) == 1 {
		return runs[0].To
	}
	hash := hashOf(variable, runs)
	place, found := s.find(variable, runs, hash)
	if found {
		return s.unique[place]
	}
	if len(s.nodes) > s.left.Nodes {
		s.over = true
		return False
	}
	return s.add(variable, runs, hash, place)
}

func (s *Store) result(n Node) (Node, error) {
	if s.over || s.left.Steps < 0 {
		s.over = true
		return False, ErrTooLarge
	}
	return n, nil
}
