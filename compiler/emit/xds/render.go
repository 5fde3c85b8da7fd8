package xds

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/model"
)

// Renderer gives the resources of proxies as indented JSON, the same bytes as
// Emit and MarshalJSON. What several proxies have in common is made once, so
// that rendering all proxies costs little more than writing them. It is safe for
// concurrent use.
type Renderer struct {
	ix   *index
	opts Options

	mu    sync.Mutex
	units map[unitKey]*unit
	size  int
	limit int // of size; what comes later is spilled
	spill *spill

	inputs *inputs
	known  traits
}

// maxUnits bounds what a Renderer keeps in memory, in bytes of JSON; what comes
// later goes to a file.
const maxUnits = 8 << 20

// NewRenderer indexes a mesh and all of its workloads.
func NewRenderer(m *model.Mesh, all []*model.Workload, o Options) (*Renderer, error) {
	ix := emptyIndex(m)
	if err := ix.place(func(model.Ref) bool { return true }, all); err != nil {
		return nil, err
	}
	return &Renderer{ix: ix, opts: o, units: make(map[unitKey]*unit), limit: maxUnits, spill: newSpill(), inputs: newInputs(ix, o),
		known: traits{known: make(map[model.Ref]digest.Sum)}}, nil
}

// unit is what proxies of one kind have in common, but for addresses of their
// own: all that clients have of one service, or the servers' side of a service.
type unit struct {
	once sync.Once
	err  error
	sheet
	// away says that the bytes of the sheet are in the spill.
	away  bool
	block block
}

// unitKey tells apart what proxies have in common. Where routes or faults
// are for some callers each of these sees a service in a way of its own.
type unitKey struct {
	of     model.Ref
	server bool
	role   model.Role
	ports  string     // on which it is bound
	as     model.Ref  // zero for every caller that nothing singles out
	place  string     // from where it looks
	traits digest.Sum // what else of a proxy its resources may depend on
}

// Render writes the resources of w, to stand behind a key at the top level of
// an indented document. Whatever has no address is an error.
func (r *Renderer) Render(out *bytes.Buffer, w *model.Workload) error {
	p := pages.Get().(*page)
	p.clear()
	defer pages.Put(p)
	e := &emitter{index: r.ix, self: w, opts: r.opts, out: &Resources{}, shared: r, page: p}
	if err := e.run(); err != nil {
		return err
	}
	if err := p.own.fill(e.out, nil); err != nil {
		return fmt.Errorf("workload %s: %w", w.NodeID(), err)
	}
	p.add(&p.own, p.own.data)
	if len(p.unplaced) > 0 {
		slices.Sort(p.unplaced)
		err := (&Resources{Unplaced: p.unplaced}).Complete()
		return fmt.Errorf("workload %s: %w", w.NodeID(), err)
	}
	p.write(out, w)
	return nil
}

// outbound does what the client of ref has, from what is known of others.
func (r *Renderer) outbound(e *emitter, ref model.Ref) error {
	h := e.holes.clear()
	for _, p := range e.portsOf(ref) {
		h.leave(outboundHole, model.OutboundKey(ref, p.Number), e.self.Outbound[model.OutboundKey(ref, p.Number)])
	}
	if h.none || e.self.Capture != nil {
		return e.outbound(ref)
	}
	return r.common(e, unitKey{of: ref, as: e.singledOut(ref), place: e.standpoint(e.self, ref)}, h, func(sub *emitter) error { return sub.outbound(ref) })
}

// inbound does what the server's side of e's own service has.
func (r *Renderer) inbound(e *emitter, s *model.Service) error {
	h := e.holes.clear()
	for _, p := range s.Ports {
		number := strconv.Itoa(int(p.Number))
		h.leave(inboundHole, number, e.self.Inbound[p.Number])
		h.leave(appHole, number, e.self.App[p.Number])
	}
	if h.none || e.self.Capture != nil {
		return e.inboundPorts(s)
	}
	return r.common(e, unitKey{of: s.Ref, server: true, place: fmt.Sprint(e.self.Locality)}, h, func(sub *emitter) error { return sub.inboundPorts(s) })
}

// common adds a unit to what e has. The first who needs it makes it, as a proxy
// whose addresses are holes, and that no raw patch is for. A proxy with a patch of
// something in the unit makes all of that for itself.
func (r *Renderer) common(e *emitter, k unitKey, h *holes, make func(*emitter) error) error {
	if e.traits == nil {
		e.traits = new(r.traits(e.self))
	}
	k.role, k.ports, k.traits = e.self.Role, string(h.ports), *e.traits
	u := r.unit(k)
	u.once.Do(func() { u.err = r.fill(u, e, h.own(), make) })
	if e.patches(u) {
		return make(e)
	}
	if u.err != nil {
		return u.err
	}
	data := u.data
	if u.away {
		var err error
		if data, err = e.page.back(r.spill, u.block); err != nil {
			return err
		}
	}
	e.page.add(&u.sheet, data)
	return nil
}

// fill makes what is in a unit.
func (r *Renderer) fill(u *unit, e *emitter, h *holes, make func(*emitter) error) error {
	sub := &emitter{index: e.index, self: h.placed(e.self), opts: e.opts, out: &Resources{}, bare: true}
	if err := make(sub); err != nil {
		return err
	}
	sub.count()
	if err := sub.validate(); err != nil {
		return err
	}
	s := sheets.Get().(*sheet)
	defer sheets.Put(s)
	if err := s.fill(sub.out, h); err != nil {
		return err
	}
	u.sheet = s.kept()
	r.keep(u, s.data)
	return nil
}

// keep holds the bytes of a unit in memory as long as there is room, and then in
// the spill.
func (r *Renderer) keep(u *unit, data []byte) {
	r.mu.Lock()
	room := r.size+len(data) <= r.limit
	if room {
		r.size += len(data)
	}
	r.mu.Unlock()
	if !room {
		u.block, u.away = r.spill.put(data)
	}
	if !u.away {
		u.data = bytes.Clone(data)
	}
}

// back gives the bytes of a unit that is away. They are in the room of the page.
func (p *page) back(from *spill, b block) ([]byte, error) {
	at := len(p.room)
	p.room = slices.Grow(p.room, int(b.size))[:at+int(b.size)] // who has a part of the old one keeps it
	data := p.room[at:]
	if err := from.get(b, data); err != nil {
		return nil, fmt.Errorf("read what was rendered: %w", err)
	}
	return data, nil
}

// singledOut is the proxy's own service where some route or fault of ref is for
// it and not for others.
func (e *emitter) singledOut(ref model.Ref) model.Ref {
	if s := e.mesh.Service(ref); s != nil {
		for _, r := range s.Routes {
			for _, c := range slices.Concat(r.From, r.Chosen()) {
				if c.Ref == e.self.Service {
					return c.Ref
				}
			}
		}
	}
	return model.Ref{}
}

func (e *emitter) portsOf(ref model.Ref) []model.Port {
	if x := e.mesh.External(ref); x != nil {
		return x.Ports
	}
	if s := e.mesh.Service(ref); s != nil {
		return s.Ports
	}
	return nil
}

func (r *Renderer) unit(k unitKey) *unit {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.units[k]
	if !ok {
		u = &unit{}
		r.units[k] = u
	}
	return u
}
