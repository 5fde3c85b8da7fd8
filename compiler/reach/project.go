package reach

import "github.com/meshc/meshc/compiler/reach/diagram"

// Without is the requests that lie in the set for some value of the
// coordinates that drop names.
func (s *Space) Without(set Set, drop func(Dim) bool) (Set, error) {
	return s.set(s.store.Exists(set.node, func(variable int) bool { return drop(s.owner[variable].dim) }))
}

// Looks says whether membership in the set depends on the coordinate.
func (s *Space) Looks(set Set, d Dim) bool {
	looks := false
	s.store.Each(set.node, func(n diagram.Node) {
		if _, constant := n.Constant(); !constant {
			variable, _ := s.store.Variable(n)
			looks = looks || s.owner[variable].dim == d
		}
	})
	return looks
}
