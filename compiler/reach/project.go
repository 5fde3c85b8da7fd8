package reach

import (
	"fmt"

	"github.com/meshc/meshc/compiler/reach/diagram"
)

// Dims lists the coordinates that the predicates of the space look at.
func (s *Space) Dims() []Dim {
	out := make([]Dim, len(s.axes))
	for i, a := range s.axes {
		out[i] = a.dim
	}
	return out
}

// Once is the requests with at most one value of a coordinate, as far as
// predicates tell values apart.
func (s *Space) Once(d Dim) (Set, error) {
	a := s.byDim[d]
	if a == nil || !a.kind.repeated {
		return Set{diagram.True}, nil
	}
	none, once := Set{diagram.True}, Set{diagram.True} // of the classes from i on
	for i := len(a.classes) - 1; i >= 0; i-- {
		without, err := s.set(s.store.Among(a.first+i, []int32{0}))
		if err != nil {
			return Set{}, err
		}
		with, err := s.set(s.store.Among(a.first+i, []int32{1}))
		if err != nil {
			return Set{}, err
		}
		if once, err = s.Intersection(without, once); err != nil {
			return Set{}, err
		}
		if with, err = s.Intersection(with, none); err != nil {
			return Set{}, err
		}
		if once, err = s.Union(once, with); err != nil {
			return Set{}, err
		}
		if none, err = s.Intersection(without, none); err != nil {
			return Set{}, err
		}
	}
	return once, nil
}

// Without is the requests that lie in the set for some value of the
// coordinates that drop names.
func (s *Space) Without(set Set, drop func(Dim) bool) (Set, error) {
	return s.set(s.store.Exists(set.node, func(variable int) bool { return drop(s.owner[variable].dim) }))
}

// With is the requests that lie in the set once a coordinate has a value, ""
// for none where there may be none; of a coordinate with several values it is
// not asked.
func (s *Space) With(set Set, d Dim, value string) (Set, error) {
	a := s.byDim[d]
	if a == nil {
		return set, nil
	}
	var values []string
	if value != "" {
		values = append(values, value)
	}
	point, ok := a.point(values)
	if !ok || len(point) != 1 {
		return Set{}, fmt.Errorf("%s cannot be %q", d, value)
	}
	return s.set(s.store.Fix(set.node, a.first, point[0]))
}
