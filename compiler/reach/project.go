package reach

// Without is the requests that lie in the set for some value of the
// coordinates that drop names.
func (s *Space) Without(set Set, drop func(Dim) bool) (Set, error) {
	return s.set(s.store.Exists(set.node, func(variable int) bool { return drop(s.owner[variable].dim) }))
}
