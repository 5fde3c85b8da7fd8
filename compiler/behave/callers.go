package behave

import (
	"slices"
	"sync"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// calls is who declares to call whom, in both meshes.
type calls struct {
	pairs         *Pairing
	meshes        [2]*model.Mesh
	others        map[model.Ref]bool // what others declare to call than before, of services that were noticed
	before, after map[model.Ref][]Caller
	upward        func() map[model.Ref][]model.Ref // in either mesh, with gateways
}

func callGraph(pairs *Pairing) *calls {
	c := &calls{pairs: pairs, meshes: [2]*model.Mesh{pairs.Before, pairs.After}, others: map[model.Ref]bool{}}
	c.upward = sync.OnceValue(c.readUpward)
	return c
}

// read finds the callers of these.
func (c *calls) read(of map[model.Ref]bool) {
	c.before, c.after = c.declaredIn(0, of), c.declaredIn(1, of)
}

// caller is what a service of one of the meshes is called as such.
func (c *calls) caller(which int, ref model.Ref) model.Ref {
	if which == 0 {
		return renamedIn(c.pairs.callers, ref)
	}
	return ref
}

// placeOf a caller of one of the meshes.
func (c *calls) placeOf(which int, caller model.Ref) model.Origin {
	if which == 0 {
		for key, as := range c.pairs.callers {
			if as == caller {
				return serviceAt(c.meshes[0], key)
			}
		}
	}
	return serviceAt(c.meshes[which], caller)
}

func (c *calls) declaredIn(which int, of map[model.Ref]bool) map[model.Ref][]Caller {
	out := map[model.Ref][]Caller{}
	for _, s := range c.meshes[which].Services {
		for _, used := range s.Uses {
			if of[used] {
				out[used] = append(out[used], Caller{c.caller(which, s.Ref), s.SPIFFEID})
			}
		}
	}
	return out
}

func (c *calls) readUpward() map[model.Ref][]model.Ref {
	out := map[model.Ref][]model.Ref{}
	for i, m := range c.meshes {
		for _, s := range m.Services {
			for _, used := range s.Uses {
				used = c.caller(i, used)
				out[used] = append(out[used], c.caller(i, s.Ref))
			}
		}
		for _, g := range m.Gateways {
			for _, service := range backends(g) {
				service = c.caller(i, service)
				out[service] = append(out[service], g.Ref)
			}
		}
	}
	return out
}

// changed takes notice of a service that is not as it was, nil for none. All that
// are not have to be noticed before differ knows.
func (c *calls) changed(old, now *model.Service) {
	was, is := usesOf(old), usesOf(now)
	for used, id := range was {
		if is[used] != id {
			c.others[used] = true
		}
	}
	for used, id := range is {
		if was[used] != id {
			c.others[used] = true
		}
	}
}

// usesOf a service, with its identity as they see it.
func usesOf(s *model.Service) map[model.Ref]string {
	if s == nil {
		return nil
	}
	out := make(map[model.Ref]string, len(s.Uses))
	for _, used := range s.Uses {
		out[used] = "as " + s.SPIFFEID
	}
	return out
}

// differ says that others declare to call it than before.
func (c *calls) differ(ref model.Ref) bool { return c.others[ref] }

// callers of either mesh, each once, of one that was read.
func (c *calls) callers(ref model.Ref) []Caller {
	out := slices.Concat(c.before[ref], c.after[ref])
	slices.SortStableFunc(out, func(a, b Caller) int { return a.Ref.Compare(b.Ref) })
	return slices.Compact(out)
}

// above are those whose requests lead to one of the affected by some way, and
// who are not among them.
func (c *calls) above(affected []model.Ref) []model.Ref {
	seen := map[model.Ref]bool{}
	for _, ref := range affected {
		seen[ref] = true
	}
	var out []model.Ref
	upward := c.upward()
	for work := slices.Clone(affected); len(work) > 0; work = work[1:] {
		for _, next := range upward[work[0]] {
			if !seen[next] {
				seen[next] = true
				out = append(out, next)
				work = append(work, next)
			}
		}
	}
	slices.SortFunc(out, model.Ref.Compare)
	return out
}

// declared adds the callers whose proxies newly know the object, or no longer
// do, where the object's own changes do not say so already: a proxy has
// listeners for what its service declares to use, and no others.
func (c *calls) declared(ref model.Ref, d *Difference, before, after *model.Mesh) {
	host, port := address(before, after, ref)
	for _, caller := range c.callers(ref) {
		was, is := knows(c.before[ref], caller.Ref), knows(c.after[ref], caller.Ref)
		class, old, now := Expose, "its proxy does not know this host", "declares to use it"
		if was && !is {
			class, old, now = Narrow, now, old
		}
		if was == is || said(d, class, caller.Ref) {
			continue
		}
		d.Regions++
		d.Differ++
		d.Changes = append(d.Changes, Change{
			Port: port, Classes: []Class{class}, Words: []string{"every request"}, Callers: []model.Ref{caller.Ref},
			From:    []string{caller.Ref.String()},
			Deltas:  []Delta{{Class: class, Name: "caller " + caller.Ref.String(), Before: old, After: now, BeforeAt: c.placeOf(0, caller.Ref), AfterAt: c.placeOf(1, caller.Ref)}},
			Witness: &reach.Request{Scheme: "http", Method: "GET", Path: "/", Host: host, Port: port, Identity: caller.Identity},
		})
	}
}

func knows(list []Caller, ref model.Ref) bool {
	return slices.ContainsFunc(list, func(c Caller) bool { return c.Ref == ref })
}

// said that callers gain or lose the object altogether.
func said(d *Difference, class Class, ref model.Ref) bool {
	return slices.ContainsFunc(d.Changes, func(c Change) bool {
		return slices.Contains(c.Classes, class) && slices.Contains(c.Callers, ref)
	})
}

func serviceAt(m *model.Mesh, ref model.Ref) model.Origin {
	if s := m.Service(ref); s != nil {
		return s.Origin
	}
	return model.Origin{}
}

// address is a host and port of the object.
func address(before, after *model.Mesh, ref model.Ref) (host string, port uint16) {
	for _, m := range []*model.Mesh{before, after} {
		if s := m.Service(ref); s != nil && len(s.Ports) > 0 {
			host, port = s.Host, s.Ports[0].Number
		}
		if e := m.External(ref); e != nil && len(e.Ports) > 0 {
			host, port = e.Host, e.Ports[0].Number
		}
	}
	return host, port
}
