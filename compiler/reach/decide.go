package reach

// Overlap gives a request for which both hold, nil when there is none, or an
// Unknown.
func Overlap(a, b Pred) (*Request, error) { return Find(All(a, b)) }

// Uncovered gives a request for which a holds and b does not, nil when a implies
// b, or an Unknown.
func Uncovered(a, b Pred) (*Request, error) { return Find(All(a, Not(b))) }

// Differ gives a request for which one holds and the other does not, nil when
// they are equivalent, or an Unknown.
func Differ(a, b Pred) (*Request, error) {
	return Find(Any(All(a, Not(b)), All(b, Not(a))))
}

// Find gives a request for which p holds, nil when there is none, or an Unknown.
func Find(p Pred) (*Request, error) {
	s, err := New(DefaultLimits, p)
	if err != nil {
		return nil, err
	}
	set, err := s.Set(p)
	if err != nil {
		return nil, err
	}
	return s.Witness(set), nil
}
