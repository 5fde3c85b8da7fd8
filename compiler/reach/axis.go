package reach

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/meshc/meshc/compiler/reach/automaton"
	"github.com/meshc/meshc/compiler/reach/diagram"
)

// axis is one coordinate, split into the classes of values that the conditions
// on it tell apart.
//
// A coordinate with one value is one variable: its numbers are the classes, with
// absence as 0 where it is possible. A repeated coordinate has a variable with
// two numbers per class: whether some value lies in it. A field may have any
// number of values, so every combination occurs; none at all is absence.
type axis struct {
	dim      Dim
	kind     *kind
	texts    []Text
	number   map[Text]int32
	machines []*automaton.Machine
	classes  []automaton.Class
	byKey    map[string]int // from the texts that hold a value to its class
	liked    []int          // classes, the one that an example should be of first
	first    int            // its first variable
	place    int            // among all axes
	sets     []*Set         // of the texts; nil until somebody asks
}

func newAxis(d Dim) *axis {
	return &axis{dim: d, kind: kindOf(d), number: map[Text]int32{}, byKey: map[string]int{}}
}

// kindOf is the kind of a coordinate; a field whose values are joined has one.
func kindOf(d Dim) *kind {
	k := kinds[d.Kind]
	switch {
	case k == nil:
		panic("reach: there is no coordinate " + string(d.Kind))
	case d.Kind == Header && Joined(d.Name):
		one := *k
		one.repeated = false
		return &one
	}
	return k
}

func (a *axis) mention(t Text) {
	if _, ok := a.number[t]; !ok {
		a.number[t] = int32(len(a.texts))
		a.texts = append(a.texts, t)
	}
}

// split finds the classes. budget is what is left of Limits.Steps for all axes.
func (a *axis) split(budget *int, limits Limits) error {
	b := &automaton.Budget{Steps: *budget, States: limits.States}
	defer func() { *budget = b.Steps }()
	var err error
	if a.machines, err = machines(a.texts, b); err != nil {
		return err
	}
	b.States = limits.Products
	if a.classes, err = automaton.Split(a.kind.domain(a.dim.Name), a.machines, b); err != nil {
		return err
	}
	a.arrange()
	a.sets = make([]*Set, len(a.texts))
	return nil
}

// arrange orders the classes, which come by length, and picks examples. Classes
// of one variable stand bytewise by their least members, which keeps prefixes
// together. Variables of a repeated coordinate stand the other way round by
// length: an example then avoids long values first.
func (a *axis) arrange() {
	if a.kind.repeated {
		slices.Reverse(a.classes)
	} else {
		slices.SortFunc(a.classes, func(x, y automaton.Class) int { return cmp.Compare(x.Least, y.Least) })
	}
	for i, c := range a.classes {
		a.byKey[keyOf(c.In)] = i
		a.liked = append(a.liked, i)
	}
	sample := make([]int, len(a.classes)) // the place of the first sample in each, from 1
	for n, text := range a.kind.samples {
		if i, ok := a.classOf(text); ok && sample[i] == 0 {
			sample[i] = n + 1
			a.classes[i].Least = text
		}
	}
	slices.SortFunc(a.liked, func(x, y int) int {
		byLength := cmp.Compare(len(a.classes[x].Least), len(a.classes[y].Least))
		switch {
		case sample[x] != 0 && sample[y] != 0:
			return cmp.Compare(sample[x], sample[y])
		case sample[x] != 0 || sample[y] != 0:
			return cmp.Compare(sample[y], sample[x])
		}
		return cmp.Or(byLength, cmp.Compare(a.classes[x].Least, a.classes[y].Least))
	})
}

func keyOf(in []int32) string {
	var key []byte
	for _, i := range in {
		key = binary.LittleEndian.AppendUint32(key, uint32(i))
	}
	return string(key)
}

// classOf finds the class of a value; ok is false outside the domain.
func (a *axis) classOf(value string) (class int, ok bool) {
	if !a.kind.domain(a.dim.Name).Accepts(value) {
		return 0, false
	}
	var in []int32
	for _, m := range a.machines {
		in = append(in, m.In(value)...)
	}
	slices.Sort(in)
	class, ok = a.byKey[keyOf(in)]
	return class, ok
}

// absence is the number of values that stand before the first class: one for
// absence, where it is possible.
func (a *axis) absence() int {
	if a.kind.optional && !a.kind.repeated {
		return 1
	}
	return 0
}

// sizes of the variables.
func (a *axis) sizes() []int32 {
	if !a.kind.repeated {
		return []int32{int32(a.absence() + len(a.classes))}
	}
	return slices.Repeat([]int32{2}, len(a.classes))
}

// where is the set of requests with a value in text n.
func (a *axis) where(store *diagram.Store, n int32) (Set, error) {
	var in []int32
	for i := range a.classes {
		if a.holds(int(n), i) {
			in = append(in, int32(i+a.absence()))
		}
	}
	return a.among(store, in)
}

// present is the set of requests with a value.
func (a *axis) present(store *diagram.Store) (Set, error) {
	var in []int32
	for i := range a.classes {
		in = append(in, int32(i+a.absence()))
	}
	return a.among(store, in)
}

// among is the set of requests with a value of these numbers.
func (a *axis) among(store *diagram.Store, in []int32) (Set, error) {
	if !a.kind.repeated {
		node, err := store.Among(a.first, in)
		return Set{node}, err
	}
	out := diagram.False
	for _, class := range slices.Backward(in) {
		one, err := store.Among(a.first+int(class), []int32{1})
		if err == nil {
			out, err = store.Or(one, out)
		}
		if err != nil {
			return Set{}, err
		}
	}
	return Set{out}, nil
}

// point gives the numbers of the variables for these values.
func (a *axis) point(values []string) (point []int, ok bool) {
	point = make([]int, len(a.sizes()))
	if !a.kind.repeated {
		if len(values) == 0 {
			return point, a.kind.optional
		}
		class, ok := a.classOf(values[0])
		point[0] = a.absence() + class
		return point, ok
	}
	ok = true
	for _, v := range values {
		class, fits := a.classOf(v)
		if ok = ok && fits; fits {
			point[class] = 1
		}
	}
	return point, ok
}
