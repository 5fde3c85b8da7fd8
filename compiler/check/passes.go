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
	own   map[int32]diag.List // by unit
	whole []diag.List         // by pass
}

// all is everything that was found, sorted.
func (m *memory) all() diag.List {
	var out diag.List
	for _, found := range m.whole {
		out = append(out, unshared(found)...)
	}
	for _, found := range m.own {
		out = append(out, unshared(found)...)
	}
	out.Sort()
	return out
}

// first runs every pass over a whole mesh of so many units, and remembers. It
// says that what is remembered can be built on: there are no errors.
func first[C judge](m *memory, c C, passes []pass[C], units int) bool {
	m.own, m.whole = map[int32]diag.List{}, make([]diag.List, len(passes))
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
	if len(found) > 0 {
		m.own[int32(unit)] = append(m.own[int32(unit)], found...)
	}
}

// edit is what tells a mesh from the one before.
type edit struct {
	units       []int
	names       []model.Ref
	sameOutline bool // of every unit
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
	for _, unit := range units {
		delete(m.own, int32(unit))
	}
	for i, p := range passes {
		from := len(*c.found())
		switch {
		case p.on == eachUnit:
			for _, unit := range units {
				one(m, c, p.run, unit)
			}
		case p.on == outlines && e.sameOutline && len(m.whole[i]) == 0:
		default:
			c.widen()
			p.run(c)
			m.whole[i] = slices.Clone((*c.found())[from:])
		}
		if (*c.found())[from:].HasErrors() {
			return false
		}
	}
	return true
}
