package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// reach of a pass: what of a mesh its findings depend on.
type reachOf int

const (
	// everything: whatever is in the mesh, and the time.
	everything reachOf = iota
	// outlines of all units (changed.Outline), and their places where it finds
	// something.
	outlines
	// each unit in focus by itself, and what it asks for by name. It goes over the
	// units in focus, and finds of each what it would find of it alone.
	eachUnit
)

// pass is one step of a judgement.
type pass[C judge] struct {
	run func(C)
	on  reachOf
	// split gives what run finds by unit, on every processor; nil for one after
	// the other.
	split func(C) []diag.List
}

// judge is what passes share: *overIntent or *overModel.
type judge interface {
	focus(unit int) // on one
	widen()         // on all
	found() *diag.List
	asked() *changed.Reads
}

// runAll runs every pass over the whole mesh.
func runAll[C judge](c C, passes []pass[C]) {
	c.widen()
	for _, p := range passes {
		p.run(c)
	}
}

// memory is what passes found, by what it is about.
type memory struct {
	reads changed.Reads
	own   diag.List   // of units, sorted
	of    []int32     // the unit of each
	whole []diag.List // by pass

	found diag.List // about units by the run under way
	about []int32
}

// all is everything that was found, sorted.
func (m *memory) all() diag.List {
	whole := slices.Concat(m.whole...)
	whole.Sort()
	out := diag.Join(whole, m.own)
	for i := range out {
		out[i].Related = slices.Clip(out[i].Related)
	}
	return out
}

// settle puts what the run has found in the place of what was known of units.
func (m *memory) settle(units []int) {
	order := make([]int, len(m.found))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return diag.Compare(&m.found[a], &m.found[b]) })
	own, of := make(diag.List, 0, len(m.own)+len(order)), make([]int32, 0, len(m.own)+len(order))
	add := func(from diag.List, about []int32, i int) {
		own, of = append(own, from[i]), append(of, about[i])
	}
	for i := range m.own {
		if _, again := slices.BinarySearch(units, int(m.of[i])); again {
			continue
		}
		for len(order) > 0 && diag.Compare(&m.found[order[0]], &m.own[i]) < 0 {
			add(m.found, m.about, order[0])
			order = order[1:]
		}
		add(m.own, m.of, i)
	}
	for _, i := range order {
		add(m.found, m.about, i)
	}
	m.own, m.of, m.found, m.about = own, of, nil, nil
}

// first runs every pass over a whole mesh of so many units, and remembers. It
// says that what is remembered can be built on: there are no errors.
func first[C judge](m *memory, c C, passes []pass[C], units int) bool {
	m.whole = make([]diag.List, len(passes))
	for i, p := range passes {
		from := len(*c.found())
		switch {
		case p.on != eachUnit:
			c.widen()
			p.run(c)
			m.whole[i] = slices.Clone((*c.found())[from:])
		case p.split != nil:
			c.widen()
			for unit, found := range p.split(c) {
				m.add(unit, found)
				*c.found() = append(*c.found(), unshared(found)...)
			}
		default:
			for unit := range units {
				one(m, c, p.run, unit)
			}
		}
	}
	m.settle(nil)
	return !c.found().HasErrors()
}

// one runs a pass over one unit.
func one[C judge](m *memory, c C, run func(C), unit int) {
	from := len(*c.found())
	c.focus(unit)
	m.reads.Begin(unit)
	run(c)
	m.reads.End()
	m.add(unit, (*c.found())[from:])
}

func (m *memory) add(unit int, found diag.List) {
	for _, d := range found {
		m.found, m.about = append(m.found, d), append(m.about, int32(unit))
	}
}

// edit is what tells a mesh from the one before.
type edit struct {
	units       []int
	names       []model.Ref
	sameOutline bool // of every unit
	samePlaces  bool // of what outlines hold
}

func newEdit(same bool) *edit { return &edit{sameOutline: same, samePlaces: same} }

// outlines notes the outline of a unit before and after.
func (e *edit) outlines(was, is changed.Outline) {
	e.sameOutline = e.sameOutline && was.Content == is.Content
	e.samePlaces = e.samePlaces && was.Placed == is.Placed
}

func (e *edit) add(unit int, name model.Ref) {
	e.units, e.names = append(e.units, unit), append(e.names, name)
}

// reached are the units that changed, and those that asked for them.
func (e *edit) reached(m *memory) []int {
	out := slices.Clone(e.units)
	ask := func(name model.Ref) {
		for _, unit := range m.reads.Askers(name) {
			out = append(out, int(unit))
		}
	}
	for _, name := range e.names {
		ask(name)
	}
	if !e.sameOutline {
		ask(changed.WholeMesh)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// again runs what an edit reaches. It says that the memory holds what there is
// to find: an error has to be judged together with everything else.
func again[C judge](m *memory, c C, passes []pass[C], e *edit) bool {
	units := e.reached(m)
	for i, p := range passes {
		from := len(*c.found())
		switch {
		case p.on == eachUnit:
			for _, unit := range units {
				one(m, c, p.run, unit)
			}
		case p.on == outlines && e.sameOutline && (e.samePlaces || len(m.whole[i]) == 0):
		default:
			c.widen()
			p.run(c)
			m.whole[i] = slices.Clone((*c.found())[from:])
		}
		if (*c.found())[from:].HasErrors() {
			return false
		}
	}
	m.settle(units)
	return true
}
