package api

import "slices"

// Expect notes a generation whose objects are about to be written. One that was
// begun before and never came to serve is retired.
func (i *Inventory) Expect(g Generation) {
	if i.Pending != nil && i.Pending.Manifest != g.Manifest {
		i.retire(i.Pending)
	}
	i.Pending = &g
	i.Retired = slices.DeleteFunc(i.Retired, func(m string) bool { return m == g.Manifest })
}

// SwitchTo makes g, whose objects have been written, what serves. It may be called
// again with the same g.
func (i *Inventory) SwitchTo(g Generation) {
	if i.Serving != nil && i.Serving.Manifest != g.Manifest {
		was := i.Previous
		i.Previous = i.Serving
		i.Serving = &g
		i.retire(was)
	}
	i.Serving = &g
	if i.Pending != nil && i.Pending.Manifest != g.Manifest {
		i.retire(i.Pending)
	}
	i.Pending = nil
	i.Retired = slices.DeleteFunc(i.Retired, i.keeps)
}

// maxRetired bounds what is being deleted at a time, as the schema does. Beyond it
// objects are found by their label.
const maxRetired = 100

// retire notes that the objects of g are to be deleted.
func (i *Inventory) retire(g *Generation) {
	if g != nil && !i.keeps(g.Manifest) && !slices.Contains(i.Retired, g.Manifest) && len(i.Retired) < maxRetired {
		i.Retired = append(i.Retired, g.Manifest)
	}
}

// keeps says whether a manifest is of a generation that stays.
func (i *Inventory) keeps(manifest string) bool {
	return i.Serving != nil && i.Serving.Manifest == manifest || i.Previous != nil && i.Previous.Manifest == manifest
}
