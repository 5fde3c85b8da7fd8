package reach

import "fmt"

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
