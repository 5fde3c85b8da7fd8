package xds

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// inputs remembers what the resources of proxies depend on, by service.
type inputs struct {
	mu    sync.Mutex
	known map[model.Ref][]byte
}

// Inputs gives all that the resources of w depend on, each part in the same
// order every time: when it is the same, so are the bytes that Render gives.
func (r *Renderer) Inputs(w *model.Workload) ([][]byte, error) {
	frame := *r.ix.mesh
	frame.Services, frame.Gateways, frame.Externals = nil, nil, nil
	var out [][]byte
	for _, v := range []any{frame, r.opts.Commit, r.opts.Static, w, r.ix.mesh.Gateway(w.Service), r.ix.egressUsers(w), r.ix.crowd(w)} {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out = append(out, raw, r.past(v))
	}
	refs := slices.SortedFunc(maps.Keys(visible(r.ix.mesh, w)), model.Ref.Compare)
	for _, ref := range refs {
		raw, err := r.inputsOf(ref)
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}

// inputsOf gives what clients see of a service or an external: itself and its
// workloads.
func (r *Renderer) inputsOf(ref model.Ref) ([]byte, error) {
	r.inputs.mu.Lock()
	defer r.inputs.mu.Unlock()
	if raw, ok := r.inputs.known[ref]; ok {
		return raw, nil
	}
	s, x := r.ix.mesh.Service(ref), r.ix.mesh.External(ref)
	g := r.ix.mesh.Gateway(ref)
	parts := []any{ref, s, x, r.past(s), r.past(x)}
	if g != nil && g.Egress {
		parts = append(parts, g.SPIFFEID, r.ix.workloads[instance{service: ref}])
	}
	if s != nil {
		for _, v := range s.Versions {
			parts = append(parts, r.ix.workloads[instance{ref, v.Name}])
		}
	}
	raw, err := json.Marshal(parts)
	if err == nil {
		r.inputs.known[ref] = raw
	}
	return raw, err
}

// past says of every time in v whether it is over: all that resources may
// depend on the present for.
func (r *Renderer) past(v any) []byte {
	var out []byte
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		if t, ok := timeOf(v); ok {
			out = append(out, '0')
			if t.After(r.opts.Now) {
				out[len(out)-1] = '1'
			}
			return
		}
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Slice:
			if holdsTime(v.Type().Elem()) {
				for i := range v.Len() {
					walk(v.Index(i))
				}
			}
		}
	}
	walk(reflect.ValueOf(v))
	return out
}

func timeOf(v reflect.Value) (time.Time, bool) {
	if !v.IsValid() || v.Type() != reflect.TypeFor[time.Time]() || !v.CanInterface() {
		return time.Time{}, false
	}
	t, ok := v.Interface().(time.Time)
	return t, ok
}

// holdsTime says that a value of a type may hold a time.
func holdsTime(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return holdsTime(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return true
		}
		for i := range t.NumField() {
			if holdsTime(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}
