package behave

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/meshc/meshc/compiler/model"
)

// raws are the patches of Envoy's own configuration in two meshes. What they do
// to requests is not known here, so nothing is said of what they touch.
type raws struct{ before, after *model.Mesh }

func rawsOf(before, after *model.Mesh) *raws {
	if len(before.Raw)+len(after.Raw) == 0 {
		return nil
	}
	return &raws{before, after}
}

// changed says that what touches an object is not the same in both meshes.
func (r *raws) changed(of Name) bool {
	if r == nil {
		return false
	}
	return !reflect.DeepEqual(plain(touching(r.before, of)), plain(touching(r.after, of)))
}

// plain leaves out where patches are written.
func plain(list []model.Raw) []model.Raw {
	out := make([]model.Raw, len(list))
	for i, p := range list {
		p.Origin, p.PatchOrigin, p.HashOrigin = model.Origin{}, model.Origin{}, model.Origin{}
		out[i] = p
	}
	return out
}

// unknown says for each patch that touches an object that it does.
func (r *raws) unknown(of Name) []string {
	if r == nil {
		return nil
	}
	var out []string
	for _, p := range append(touching(r.before, of), touching(r.after, of)...) {
		text := fmt.Sprintf("patched by raw %q: what that does to requests is not known", p.Name)
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// touching are the patches on which the requests to an object, or through a
// gateway, may depend.
func touching(m *model.Mesh, of Name) []model.Raw {
	var out []model.Raw
	for i := range m.Raw {
		if touches(m, &m.Raw[i], of) {
			out = append(out, m.Raw[i])
		}
	}
	return out
}

func touches(m *model.Mesh, p *model.Raw, of Name) bool {
	switch of.Kind {
	case ServiceKind:
		s := m.Service(of.Ref)
		return s != nil && p.Touches(of.Ref, s.Host)
	case ExternalKind:
		e := m.External(of.Ref)
		return e != nil && p.Touches(of.Ref, e.Host)
	}
	// A gateway's resources are its own and those of the services behind it.
	return m.Gateway(of.Ref) != nil && p.For(of.Ref) && (p.OfGateways() || slices.ContainsFunc(backends(m.Gateway(of.Ref)), func(ref model.Ref) bool {
		s := m.Service(ref)
		return s != nil && p.Touches(ref, s.Host)
	}))
}
