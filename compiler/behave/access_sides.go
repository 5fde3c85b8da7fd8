package behave

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// side is what one mesh does to the requests of one client: the set of requests
// of each outcome, which together are all that are asked about.
type side map[int]reach.Set

// telling tells the requests of one way to one port apart.
type telling struct {
	*comparison
	way    Way
	gate   uint16
	cells  []reach.Region
	none   int // outcome of what is not let in
	groups map[string]*Entry
	order  []string
	out    *Access
}

// tell compares two tables; nil where it is not known what they do.
func (a *accessing) tell(way Way, port, gate uint16, before, after table, more ...reach.Pred) *telling {
	host := ""
	for _, m := range []*model.Mesh{a.before, a.after} {
		if s := m.Service(a.ref); s != nil && gate == 0 {
			host = s.Host
		}
		if e := m.External(a.ref); e != nil {
			host = e.Host
		}
	}
	t := &telling{
		comparison: newComparison(port, host, nil),
		way:        way, gate: gate, groups: map[string]*Entry{}, out: a.out,
	}
	t.none = t.number(&Outcome{Verdict: NoRoute})
	var err error
	if t.cells, err = t.regions(before, after, more...); err != nil {
		t.unknown(err)
		return nil
	}
	a.out.Regions += len(t.cells)
	return t
}

func (t *telling) unknown(err error) {
	t.out.Unknown = append(t.out.Unknown, fmt.Sprintf("port %d, by way of %s: %s", t.port, t.way, err))
}

// side of a mesh, 0 for before and 1 for after, cut by some cut of each set.
func (t *telling) side(which int, cut func(reach.Set) (reach.Set, error)) (side, error) {
	parts := map[int][]reach.Set{}
	for _, r := range t.cells {
		outcome := []int{r.Before, r.After}[which]
		parts[outcome] = append(parts[outcome], r.Set)
	}
	out := side{}
	for outcome, sets := range parts {
		set, err := t.space.Union(sets...)
		if err == nil {
			set, err = cut(set)
		}
		if err != nil {
			return nil, err
		}
		out[outcome] = set
	}
	return out, nil
}

// of the requests with an identity, "" for none.
func (t *telling) of(id string) func(reach.Set) (reach.Set, error) {
	return func(s reach.Set) (reach.Set, error) { return t.space.With(s, identity, id) }
}

// closed is the side of a mesh in which nothing comes by this way.
func (t *telling) closed(within reach.Set) side { return side{t.none: within} }

// change is the requests that change from one outcome to another.
type change struct {
	before, after int
	set           reach.Set
}

// changes between two sides.
func (t *telling) changes(before, after side) ([]change, error) {
	var out []change
	for _, b := range sortedKeys(before) {
		for _, a := range sortedKeys(after) {
			if a == b {
				continue
			}
			set, err := t.space.Intersection(before[b], after[a])
			if err != nil {
				return nil, err
			}
			if !set.Empty() {
				out = append(out, change{b, a, set})
			}
		}
	}
	return out, nil
}

// note adds what changes for who, with an identity of his, joined with others
// for whom the same changes.
func (t *telling) note(who *model.Ref, id string, before, after side) error {
	list, err := t.changes(before, after)
	if err != nil {
		return err
	}
	for _, c := range list {
		b, a := admissionOf(t.outcomes[c.before]), admissionOf(t.outcomes[c.after])
		if b.Judged != "" && a.Judged != "" && b.Judged != a.Judged {
			t.unknown(fmt.Errorf("what becomes of requests on their way is judged otherwise: %s, and before %s", a.Judged, b.Judged))
		}
		key := fmt.Sprint(c)
		e := t.groups[key]
		if e == nil {
			e = &Entry{Way: t.way, Port: t.port, Gate: t.gate, Before: b, After: a, space: t.space, set: c.set}
			if err := t.describeEntry(e, id); err != nil {
				return err
			}
			t.groups[key] = e
			t.order = append(t.order, key)
		}
		if who != nil {
			e.Who = append(e.Who, *who)
		}
	}
	return nil
}

func (t *telling) describeEntry(e *Entry, id string) error {
	set, err := t.prefer(e.set, t.usual())
	if err != nil {
		return err
	}
	e.Words, e.More = t.space.Words(e.set, maxWords)
	e.Witness = t.space.Witness(set)
	e.Witness.Port = t.port
	if t.gate != 0 {
		e.Witness.Port = t.gate
	}
	if e.Witness.Host == "" {
		e.Witness.Host = cmp.Or(t.host, anyHost)
	}
	if id != "" {
		e.Witness.Identity = id
	}
	return nil
}

func (t *telling) finish() {
	for _, key := range t.order {
		e := t.groups[key]
		slices.SortFunc(e.Who, model.Ref.Compare)
		t.out.Entries = append(t.out.Entries, *e)
	}
}

// callers are the services that declare to use it.
func (a *accessing) callers(port uint16) {
	t := a.tell(ByCaller, port, 0, admissions(entryTable(a.before, a.ref, port), everything), admissions(entryTable(a.after, a.ref, port), everything))
	if t == nil {
		return
	}
	var all []model.Ref
	for _, c := range a.calls.callers(a.ref) {
		all = append(all, c.Ref)
	}
	for _, ref := range slices.Compact(all) {
		before, err := t.caller(0, a.calls.before[a.ref], ref)
		var after side
		if err == nil {
			after, err = t.caller(1, a.calls.after[a.ref], ref)
		}
		if err == nil {
			err = t.note(&ref, identityOf(ref, a.calls.after[a.ref], a.calls.before[a.ref]), before, after)
		}
		if err != nil {
			t.unknown(err)
			return
		}
	}
	t.finish()
}

// caller is one side of a service: its proxy knows what it declares to use.
func (t *telling) caller(which int, declared []Caller, ref model.Ref) (side, error) {
	if !knows(declared, ref) {
		all, err := t.space.Set(reach.All())
		return t.closed(all), err
	}
	return t.side(which, t.of(identityOf(ref, declared)))
}

func identityOf(ref model.Ref, lists ...[]Caller) string {
	for _, list := range lists {
		for _, c := range list {
			if c.Ref == ref {
				return c.Identity
			}
		}
	}
	return ""
}

// gateway is the clients of a gateway, of which the server sees the gateway.
func (a *accessing) gateway(ref model.Ref) {
	old, now := a.before.Gateway(ref), a.after.Gateway(ref)
	if !slices.Contains(backends(old), a.ref) && !slices.Contains(backends(now), a.ref) {
		return
	}
	gates := map[uint16]bool{}
	gatewayPorts(old, gates)
	gatewayPorts(now, gates)
	for _, gate := range sortedKeys(gates) {
		before, after := gatewayTable(a.before, old, gate), gatewayTable(a.after, now, gate)
		for _, port := range a.ports() {
			leads := a.leadingTo(port)
			t := a.tell(ByGateway, port, gate, admissions(before, leads), admissions(after, leads))
			if t == nil {
				continue
			}
			if err := t.whole(&ref, t.of("")); err != nil {
				t.unknown(err)
				continue
			}
			t.finish()
		}
	}
}

// whole notes both sides of one client.
func (t *telling) whole(who *model.Ref, cut func(reach.Set) (reach.Set, error)) error {
	before, err := t.side(0, cut)
	if err != nil {
		return err
	}
	after, err := t.side(1, cut)
	if err != nil {
		return err
	}
	return t.note(who, "", before, after)
}

// direct is whoever connects to the server's proxy without one of his own that
// knows the mesh: without mutual TLS, and with some other identity.
func (a *accessing) direct(port uint16) {
	old, now := a.before.Service(a.ref), a.after.Service(a.ref)
	if old == nil && now == nil {
		return // an external has no proxy
	}
	apart := a.apart()
	others := reach.All(reach.Present(identity), reach.Not(reach.Any(mapped(apart, func(id string) reach.Pred {
		return reach.Is(identity, reach.Exactly(id))
	})...)))
	before, after := admissions(directTable(old, port), everything), admissions(directTable(now, port), everything)
	if t := a.tell(ByPlaintext, port, 0, before, after); t != nil {
		if err := t.whole(nil, t.of("")); err != nil {
			t.unknown(err)
		}
		t.finish()
	}
	if t := a.tell(ByIdentity, port, 0, before, after, others); t != nil {
		if err := a.identities(t, others, apart); err != nil {
			t.unknown(err)
		}
		t.finish()
	}
}

// identities tells who else is let in by his identity. Without mutual TLS there
// is none.
func (a *accessing) identities(t *telling, others reach.Pred, apart []string) error {
	within, err := t.space.Set(others)
	if err != nil {
		return err
	}
	var sides [2]side
	for i, m := range []*model.Mesh{a.before, a.after} {
		if s := m.Service(a.ref); s == nil || s.ModeOn(t.port) == model.MTLSDisable {
			sides[i] = t.closed(within)
			continue
		}
		sides[i], err = t.side(i, func(s reach.Set) (reach.Set, error) { return t.space.Intersection(s, within) })
		if err != nil {
			return err
		}
	}
	if err := t.note(nil, "", sides[0], sides[1]); err != nil {
		return err
	}
	for _, e := range t.groups {
		if e.Holders, err = a.holders(e, apart); err != nil {
			return err
		}
	}
	return nil
}

// apart are the identities of those that are told by themselves.
func (a *accessing) apart() []string {
	var out []string
	for _, c := range a.calls.callers(a.ref) {
		out = append(out, c.Identity)
	}
	for _, m := range []*model.Mesh{a.before, a.after} {
		for _, g := range m.Gateways {
			if slices.Contains(backends(g), a.ref) {
				out = append(out, g.SPIFFEID)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
