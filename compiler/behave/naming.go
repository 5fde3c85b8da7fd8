package behave

import (
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// piece is some ports of an entry under a name of their own.
type piece struct {
	key   model.Ref
	ports []uint16
}

// naming gives the objects of a mesh other names, wherever they are named.
type naming struct {
	pieces map[model.Ref][]piece // the first one is also what has no port; none: as it was
	caller func(model.Ref) model.Ref
	hosts  func(model.Ref) model.Ref // in the place of pieces
	holds  map[reflect.Type]bool     // whether there are names in a type
}

// at is the name of the piece with a port, 0 for none.
func (n *naming) at(ref model.Ref, port uint16) model.Ref {
	if n.hosts != nil {
		return n.hosts(ref)
	}
	list := n.pieces[ref]
	for _, p := range list {
		if slices.Contains(p.ports, port) {
			return p.key
		}
	}
	if len(list) > 0 {
		return list[0].key
	}
	return ref
}

// mesh is m with the other names; what names nothing that has another is shared.
func (n *naming) mesh(m *model.Mesh) *model.Mesh {
	other := n.hosts != nil
	for ref, list := range n.pieces {
		other = other || len(list) != 1 || list[0].key != ref
	}
	if !other {
		return m
	}
	n.holds = map[reflect.Type]bool{}
	out := *m
	out.Services, out.Gateways, out.Externals = nil, nil, nil
	out.Raw = named(n, m.Raw)
	for _, s := range m.Services {
		out.Services = append(out.Services, named(n, s))
	}
	for _, e := range m.Externals {
		out.Externals = append(out.Externals, named(n, e))
	}
	for _, g := range m.Gateways {
		out.Gateways = append(out.Gateways, named(n, g))
	}
	for i, s := range m.Services {
		for k, p := range n.several(s.Ref) {
			part := *out.Services[i]
			part.Ref, part.Ports = p.key, portsIn(s.Ports, p.ports)
			if k == 0 {
				out.Services[i] = &part
				continue
			}
			part.Uses = nil // those of the first
			out.Services = append(out.Services, &part)
		}
	}
	for i, e := range m.Externals {
		for k, p := range n.several(e.Ref) {
			part := *out.Externals[i]
			part.Ref, part.Ports = p.key, portsIn(e.Ports, p.ports)
			if k == 0 {
				out.Externals[i] = &part
				continue
			}
			out.Externals = append(out.Externals, &part)
		}
	}
	slices.SortFunc(out.Services, func(a, b *model.Service) int { return a.Ref.Compare(b.Ref) })
	slices.SortFunc(out.Externals, func(a, b *model.External) int { return a.Ref.Compare(b.Ref) })
	slices.SortFunc(out.Gateways, func(a, b *model.Gateway) int { return a.Ref.Compare(b.Ref) })
	return &out
}

// several are the pieces of what is more than one.
func (n *naming) several(ref model.Ref) []piece {
	if len(n.pieces[ref]) < 2 {
		return nil
	}
	return n.pieces[ref]
}

func portsIn(all []model.Port, numbers []uint16) []model.Port {
	return slices.DeleteFunc(slices.Clone(all), func(p model.Port) bool { return !slices.Contains(numbers, p.Number) })
}

// named is a plain value with the other names; v itself where it names nothing that
// has another.
func named[T any](n *naming, v T) T {
	out, changed := n.value(reflect.ValueOf(&v).Elem())
	if !changed {
		return v
	}
	return out.Interface().(T)
}

var (
	refType    = reflect.TypeFor[model.Ref]()
	refsType   = reflect.TypeFor[[]model.Ref]()
	callerType = reflect.TypeFor[model.Caller]()
)

func (n *naming) value(v reflect.Value) (reflect.Value, bool) {
	t := v.Type()
	if !n.has(t) {
		return v, false
	}
	switch {
	case t == refType:
		return n.ref(v, 0)
	case t == refsType:
		return n.refs(v)
	}
	switch t.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v, false
		}
		to, changed := n.value(v.Elem())
		if !changed {
			return v, false
		}
		out := reflect.New(t.Elem())
		out.Elem().Set(to)
		return out, true
	case reflect.Slice:
		return n.list(v)
	}
	return n.fields(v)
}

func (n *naming) ref(v reflect.Value, port uint16) (reflect.Value, bool) {
	was := v.Interface().(model.Ref)
	is := n.at(was, port)
	return reflect.ValueOf(is), is != was
}

// refs are all pieces of what a list names, sorted.
func (n *naming) refs(v reflect.Value) (reflect.Value, bool) {
	was := v.Interface().([]model.Ref)
	var out []model.Ref
	for _, ref := range was {
		out = append(out, n.at(ref, 0))
		for _, p := range n.several(ref) {
			out = append(out, p.key)
		}
	}
	slices.SortFunc(out, model.Ref.Compare)
	out = slices.Compact(out)
	return reflect.ValueOf(out), !slices.Equal(was, out)
}

func (n *naming) list(v reflect.Value) (reflect.Value, bool) {
	var out reflect.Value
	for i := range v.Len() {
		one, changed := n.value(v.Index(i))
		if !changed {
			continue
		}
		if !out.IsValid() {
			out = reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(out, v)
		}
		out.Index(i).Set(one)
	}
	if !out.IsValid() {
		return v, false
	}
	if callers, ok := out.Interface().([]model.Caller); ok {
		slices.SortFunc(callers, func(a, b model.Caller) int { return a.Ref.Compare(b.Ref) })
	}
	return out, true
}

// fields of a struct. A name beside a port is of what has that port.
func (n *naming) fields(v reflect.Value) (reflect.Value, bool) {
	t := v.Type()
	if t == callerType {
		c := v.Interface().(model.Caller)
		if n.caller == nil || n.caller(c.Ref) == c.Ref {
			return v, false
		}
		c.Ref = n.caller(c.Ref)
		return reflect.ValueOf(c), true
	}
	var port uint16
	if f, ok := t.FieldByName("Port"); ok && f.Type.Kind() == reflect.Uint16 {
		port = uint16(v.FieldByIndex(f.Index).Uint())
	}
	var out reflect.Value
	for i := range t.NumField() {
		var one reflect.Value
		var changed bool
		if f := v.Field(i); f.Type() == refType {
			one, changed = n.ref(f, port)
		} else {
			one, changed = n.value(f)
		}
		if !changed {
			continue
		}
		if !out.IsValid() {
			out = reflect.New(t).Elem()
			out.Set(v)
		}
		out.Field(i).Set(one)
	}
	if !out.IsValid() {
		return v, false
	}
	return out, true
}

// has says that there are names in values of a type. No type of the model leads to
// itself.
func (n *naming) has(t reflect.Type) bool {
	if known, ok := n.holds[t]; ok {
		return known
	}
	has := t == refType
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		has = n.has(t.Elem())
	case reflect.Struct:
		for i := 0; i < t.NumField() && !has && strings.HasSuffix(t.PkgPath(), "/model"); i++ {
			has = n.has(t.Field(i).Type)
		}
	}
	n.holds[t] = has
	return has
}
