package xds

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/emit/xds/asjson"
	"github.com/meshc/meshc/compiler/model"
)

// Renderer gives the resources of proxies as indented JSON, the same bytes as
// Emit and MarshalJSON. What the clients of a service have in common is made
// once, so that rendering all proxies costs little more than writing them. It
// is safe for concurrent use.
type Renderer struct {
	ix   *index
	opts Options

	mu    sync.Mutex
	units map[unitKey]*unit
	size  int

	inputs inputs
}

// maxUnits bounds what a Renderer keeps, in bytes of JSON.
const maxUnits = 64 << 20

// NewRenderer indexes a mesh and all of its workloads.
func NewRenderer(m *model.Mesh, all []*model.Workload, o Options) (*Renderer, error) {
	ix := emptyIndex(m)
	if err := ix.place(func(model.Ref) bool { return true }, all); err != nil {
		return nil, err
	}
	return &Renderer{ix: ix, opts: o, units: make(map[unitKey]*unit), inputs: inputs{known: make(map[model.Ref][]byte)}}, nil
}

// fragment is one resource as JSON, indented for its place in a document. One
// that binds an address of the client's own has a hole for it.
type fragment struct {
	name       string
	head, tail []byte
	at         string // the key in Outbound whose address fills the hole; "" without one
}

// fragments are the resources of one proxy, or of a part of it.
type fragments struct {
	listeners, routes, clusters, endpoints []fragment
	bundles, unplaced                      []string
}

func (f *fragments) add(o *fragments) {
	f.listeners = append(f.listeners, o.listeners...)
	f.routes = append(f.routes, o.routes...)
	f.clusters = append(f.clusters, o.clusters...)
	f.endpoints = append(f.endpoints, o.endpoints...)
	f.bundles = append(f.bundles, o.bundles...)
	f.unplaced = append(f.unplaced, o.unplaced...)
}

// unit is what every client of a service has: its listeners, but for their
// addresses, routes, clusters and endpoints.
type unit struct {
	once sync.Once
	err  error
	fragments
}

// unitKey names a service or external as clients of one role see it, with the
// ports on which they are bound, and the place from where they look. Where faults
// are for some callers each of these sees it in a way of its own.
type unitKey struct {
	to    model.Ref
	role  model.Role
	ports string
	as    model.Ref // zero for every caller that no fault singles out
	place string
}

// Render writes the resources of w, to stand behind a key at the top level of
// an indented document. Whatever has no address is an error.
func (r *Renderer) Render(out *bytes.Buffer, w *model.Workload) error {
	e := &emitter{index: r.ix, self: w, opts: r.opts, out: &Resources{}, shared: r, parts: &fragments{}}
	if err := e.run(); err != nil {
		return err
	}
	all, err := e.out.fragments(nil)
	if err != nil {
		return fmt.Errorf("workload %s: %w", w.NodeID(), err)
	}
	all.add(e.parts)
	if len(all.unplaced) > 0 {
		slices.Sort(all.unplaced)
		err := (&Resources{Unplaced: all.unplaced}).Complete()
		return fmt.Errorf("workload %s: %w", w.NodeID(), err)
	}
	all.write(out, w.Outbound)
	return nil
}

// outbound does what the client of ref has, from what is known of others.
func (r *Renderer) outbound(e *emitter, ref model.Ref) error {
	holes, ports, ok := e.holes(ref)
	if !ok {
		return e.outbound(ref) // at an address that is no IPv4 address
	}
	u := r.unit(unitKey{ref, e.self.Role, ports, e.singledOut(ref), e.standpoint(e.self, ref)})
	u.once.Do(func() {
		self := *e.self
		self.Outbound = maps.Clone(holes)
		sub := &emitter{index: e.index, self: &self, opts: e.opts, out: &Resources{}}
		if u.err = sub.outbound(ref); u.err == nil {
			u.err = sub.validate()
		}
		if u.err != nil {
			return
		}
		var all *fragments
		if all, u.err = sub.out.fragments(holes); u.err == nil {
			u.fragments = *all
			r.grow(all)
		}
	})
	if u.err == nil {
		e.parts.add(&u.fragments)
	}
	return u.err
}

// holes gives an address that no proxy has for each port of ref, instead of
// the client's own, and names the ports on which it is bound.
func (e *emitter) holes(ref model.Ref) (holes map[string]string, ports string, ok bool) {
	holes = make(map[string]string)
	for i, p := range e.portsOf(ref) {
		key := model.OutboundKey(ref, p.Number)
		at := e.self.Outbound[key]
		if at == "" {
			ports += "-,"
			continue
		}
		addr, err := netip.ParseAddrPort(at)
		if err != nil || !addr.Addr().Is4() || i > 250 {
			return nil, "", false
		}
		holes[key] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, byte(i)}), addr.Port()).String()
		ports += fmt.Sprint(addr.Port(), ",")
	}
	return holes, ports, true
}

// singledOut is the proxy's own service where some fault of ref is for it and
// not for others.
func (e *emitter) singledOut(ref model.Ref) model.Ref {
	if s := e.mesh.Service(ref); s != nil {
		for _, r := range s.Routes {
			for _, c := range r.Chosen() {
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

// grow notes the size of a new unit. A full store is emptied: who still needs
// what was in it makes it again.
func (r *Renderer) grow(f *fragments) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, list := range [][]fragment{f.listeners, f.routes, f.clusters, f.endpoints} {
		for _, one := range list {
			r.size += len(one.head) + len(one.tail)
		}
	}
	if r.size > maxUnits {
		r.units, r.size = make(map[unitKey]*unit), 0
	}
}

// fragments renders the resources; holes are the addresses to leave out.
func (r *Resources) fragments(holes map[string]string) (*fragments, error) {
	out := &fragments{bundles: r.Bundles, unplaced: r.Unplaced}
	var err error
	if out.listeners, err = rendered(r.Listeners); err != nil {
		return nil, err
	}
	if out.routes, err = rendered(r.Routes); err != nil {
		return nil, err
	}
	if out.clusters, err = rendered(r.Clusters); err != nil {
		return nil, err
	}
	if out.endpoints, err = rendered(r.Endpoints); err != nil {
		return nil, err
	}
	for i := range out.listeners {
		if err := out.listeners[i].cut(holes); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cut makes the hole of a listener.
func (f *fragment) cut(holes map[string]string) error {
	for key, at := range holes {
		host, _, _ := strings.Cut(at, ":")
		head, tail, found := bytes.Cut(f.head, []byte(`"`+host+`"`))
		if !found {
			continue
		}
		if f.at != "" || bytes.Contains(tail, []byte(host)) {
			return fmt.Errorf("listener %s has several addresses", f.name)
		}
		f.head, f.tail, f.at = head, tail, key
	}
	return nil
}

type named interface {
	proto.Message
	comparable
}

func rendered[T named](list []T) ([]fragment, error) {
	out := make([]fragment, 0, len(list))
	for _, m := range list {
		body, err := asjson.Append(nil, m, len(elementPrefix))
		if err != nil {
			return nil, err
		}
		out = append(out, fragment{name: nameOf(m), head: body})
	}
	return out, nil
}

func nameOf(m proto.Message) string {
	switch m := m.(type) {
	case interface{ GetClusterName() string }:
		return m.GetClusterName()
	case interface{ GetName() string }:
		return m.GetName()
	}
	return ""
}

// elementPrefix stands before every line of a resource in a document.
const elementPrefix = "      "

// write puts the resources together as MarshalJSON and json.Indent would.
func (f *fragments) write(out *bytes.Buffer, addresses map[string]string) {
	out.WriteString("{")
	for i, list := range []struct {
		key string
		all []fragment
	}{{"listeners", f.listeners}, {"routes", f.routes}, {"clusters", f.clusters}, {"endpoints", f.endpoints}} {
		if i > 0 {
			out.WriteString(",")
		}
		out.WriteString("\n    \"" + list.key + "\": [")
		slices.SortFunc(list.all, func(a, b fragment) int { return strings.Compare(a.name, b.name) })
		for i, one := range list.all {
			separate(out, i)
			one.write(out, addresses)
		}
		closeList(out, len(list.all))
	}
	f.writeBundles(out)
	out.WriteString("\n  }")
}

func separate(out *bytes.Buffer, i int) {
	if i > 0 {
		out.WriteString(",")
	}
	out.WriteString("\n" + elementPrefix)
}

func closeList(out *bytes.Buffer, n int) {
	if n > 0 {
		out.WriteString("\n    ")
	}
	out.WriteString("]")
}

func (f fragment) write(out *bytes.Buffer, addresses map[string]string) {
	out.Write(f.head)
	if f.at != "" {
		host, _, _ := strings.Cut(addresses[f.at], ":")
		out.WriteString(`"` + host + `"`)
	}
	out.Write(f.tail)
}

func (f *fragments) writeBundles(out *bytes.Buffer) {
	slices.Sort(f.bundles)
	names := slices.Compact(f.bundles)
	if len(names) == 0 {
		return
	}
	out.WriteString(",\n    \"bundles\": [")
	for i, name := range names {
		separate(out, i)
		quoted, _ := json.Marshal(name) // a string always has a form in JSON
		out.Write(quoted)
	}
	closeList(out, len(names))
}
