package reach

import (
	"errors"
	"slices"

	"github.com/meshc/meshc/compiler/reach/diagram"
)

// Space is the requests as far as some predicates tell them apart: every
// coordinate that they look at is split into classes, and predicates over it
// become Sets. Sets and Functions of one Space can be combined and compared. A
// Space is not safe for concurrent use.
type Space struct {
	axes  []*axis // in the order of their variables
	byDim map[Dim]*axis
	owner []*axis // of each variable
	store *diagram.Store
	sets  map[*condition]Set // of conditions that are made of others
}

// Set is a set of requests of one Space. Two Sets hold the same requests exactly
// when they are equal. The zero Set is empty.
type Set struct{ node diagram.Node }

// Empty says that no request belongs to the set.
func (s Set) Empty() bool { return s.node == diagram.False }

// Full says that every request belongs to the set.
func (s Set) Full() bool { return s.node == diagram.True }

// Function gives every request of one Space an outcome, a number from 0. Two
// Functions do the same exactly when they are equal.
type Function struct{ node diagram.Node }

// New gives the space that ps are to be judged in. An error is an Unknown that
// names the coordinate, or says which predicate is broken.
func New(limits Limits, ps ...Pred) (*Space, error) {
	s, _, err := newSpace(limits, ps)
	return s, err
}

// newSpace says too how many of the steps it used.
func newSpace(limits Limits, ps []Pred) (made *Space, used int, err error) {
	s := &Space{byDim: map[Dim]*axis{}, sets: map[*condition]Set{}}
	seen := map[*condition]bool{}
	for _, p := range ps {
		p.atoms(seen, s.mention)
	}
	if err := s.independent(); err != nil {
		return nil, 0, err
	}
	slices.SortStableFunc(s.axes, func(a, b *axis) int { return rank(a.dim) - rank(b.dim) })
	budget := limits.Steps
	var sizes []int32
	for i, a := range s.axes {
		a.place = i
		if err := a.split(&budget, limits); err != nil {
			return nil, limits.Steps - budget, unknown(a.dim.String(), err)
		}
		a.first = len(sizes)
		sizes = append(sizes, a.sizes()...)
		for len(s.owner) < len(sizes) {
			s.owner = append(s.owner, a)
		}
	}
	s.store = diagram.New(sizes, diagram.Limits{Nodes: limits.Nodes, Steps: limits.Merges})
	return s, limits.Steps - budget, nil
}

// Release gives the memory of the space to other spaces. Whoever made it may call
// this once, when nothing will be asked any more of the space, its Sets and its
// Functions; without the call the memory is garbage like any other.
func (s *Space) Release() {
	if s.store != nil {
		s.store.Release()
	}
}

func (s *Space) mention(d Dim, t Text) {
	a := s.byDim[d]
	if a == nil {
		a = newAxis(d)
		s.byDim[d] = a
		s.axes = append(s.axes, a)
	}
	a.mention(t)
}

// rank orders variables: what every request has comes first, by kind; what may
// be there follows in the order in which predicates mention it, because
// conditions that belong together are then tested together.
func rank(d Dim) int {
	order := []Kind{Scheme, Port, Host, Identity, Address, Client, Through, Path, Method}
	if i := slices.Index(order, d.Kind); i >= 0 {
		return i
	}
	return len(order)
}

var errNotInSpace = errors.New("it is asked about in a space that was made for other conditions")

var errSameField = errors.New("a condition on a field beside conditions on what is read from it is not decided")

// independent refuses coordinates that are two readings of one thing: cookies
// and their field, the scheme, which a proxy takes from x-forwarded-proto, and the
// client's address, from x-forwarded-for.
func (s *Space) independent() error {
	for field, kind := range map[string]Kind{"cookie": Cookie, "x-forwarded-proto": Scheme, "x-forwarded-for": Client} {
		whole := s.byDim[Dim{Header, field}]
		if whole != nil && slices.ContainsFunc(s.axes, func(a *axis) bool { return a.dim.Kind == kind }) {
			return &Unknown{whole.dim.String(), errSameField}
		}
	}
	return nil
}

// Set gives the requests for which p holds. p looks at nothing that the
// predicates given to New do not look at, but it may ask whether one of their
// coordinates is there. Anything else is an error: classes that were not split
// by a condition cannot say where it holds.
func (s *Space) Set(p Pred) (Set, error) {
	c := p.what()
	if c.op == isIn {
		return s.atom(c.dim, c.text)
	}
	if set, ok := s.sets[c]; ok {
		return set, nil
	}
	set, err := s.combined(c)
	if err == nil {
		s.sets[c] = set
	}
	return set, err
}

// combined is the set of a condition that is made of others.
func (s *Space) combined(c *condition) (Set, error) {
	if c.op == notOf {
		inner, err := s.Set(c.of[0])
		if err != nil {
			return Set{}, err
		}
		return s.Not(inner)
	}
	parts := make([]Set, len(c.of))
	for i, q := range c.of {
		var err error
		if parts[i], err = s.Set(q); err != nil {
			return Set{}, err
		}
	}
	if c.op == allOf {
		return s.Intersection(parts...)
	}
	return s.Union(parts...)
}

func (s *Space) atom(d Dim, t Text) (Set, error) {
	a := s.byDim[d]
	if a == nil {
		return Set{}, unknown(d.String(), errNotInSpace)
	}
	n, split := a.number[t]
	switch {
	case !split && t == AnyValue():
		set, err := a.present(s.store)
		if err != nil {
			return Set{}, unknown(d.String(), err)
		}
		return set, nil
	case !split:
		return Set{}, unknown(d.String(), errNotInSpace)
	}
	if set := a.sets[n]; set != nil {
		return *set, nil
	}
	set, err := a.where(s.store, n)
	if err != nil {
		return Set{}, unknown(d.String(), err)
	}
	a.sets[n] = &set
	return set, nil
}

// Union of sets; of none, the empty set.
func (s *Space) Union(sets ...Set) (Set, error) {
	return s.fold(sets, Set{diagram.False}, s.store.Or)
}

// Intersection of sets; of none, every request.
func (s *Space) Intersection(sets ...Set) (Set, error) {
	return s.fold(sets, Set{diagram.True}, s.store.And)
}

// fold combines neighbours first, so that intermediate results stay small.
func (s *Space) fold(sets []Set, none Set, op func(a, b diagram.Node) (diagram.Node, error)) (Set, error) {
	switch len(sets) {
	case 0:
		return none, nil
	case 1:
		return sets[0], nil
	}
	half := len(sets) / 2
	a, err := s.fold(sets[:half], none, op)
	if err != nil {
		return Set{}, err
	}
	b, err := s.fold(sets[half:], none, op)
	if err != nil {
		return Set{}, err
	}
	return s.set(op(a.node, b.node))
}

// Minus is what belongs to a and not to b.
func (s *Space) Minus(a, b Set) (Set, error) { return s.set(s.store.Minus(a.node, b.node)) }

// Not is every request that does not belong to a.
func (s *Space) Not(a Set) (Set, error) { return s.set(s.store.Not(a.node)) }

func (s *Space) set(n diagram.Node, err error) (Set, error) {
	if err != nil {
		return Set{}, unknown("the combination of conditions", err)
	}
	return Set{n}, nil
}

// Holds says whether r belongs to the set; ok is false when r has a value that
// no request has.
func (s *Space) Holds(set Set, r *Request) (holds, ok bool) { return s.Place(r).In(set) }

// Place is where one request stands in a Space; it is found out as far as
// somebody asks. It is not safe for concurrent use.
type Place struct {
	space *Space
	r     *Request
	at    []spot // of each axis
}

// spot is a place on one axis.
type spot struct {
	known, fits bool
	point       []int
}

// Place of r, for those that ask of many sets whether r belongs to them.
func (s *Space) Place(r *Request) *Place {
	return &Place{space: s, r: r, at: make([]spot, len(s.axes))}
}

// In says whether the request belongs to the set; ok is false when it has a
// value that no request has.
func (p *Place) In(set Set) (holds, ok bool) {
	value, ok := p.value(set.node)
	return value == 1, ok
}

func (p *Place) value(n diagram.Node) (value int, ok bool) {
	ok = true
	return p.space.store.At(n, func(variable int) int {
		a := p.space.owner[variable]
		at := &p.at[a.place]
		if !at.known {
			at.known = true
			at.point, at.fits = a.point(p.r.values(a.dim))
		}
		ok = ok && at.fits
		return at.point[variable-a.first]
	}), ok
}
