package xds

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/model"
)

// inputs remembers what the resources of proxies depend on.
type inputs struct {
	mu    sync.Mutex
	known map[model.Ref]digest.Sum  // of a service or an external
	views map[viewer][][]byte       // what is known of all that is visible
	frame digest.Sum                // of what every proxy depends on
	ready bool                      // frame is there
	until atomic.Pointer[time.Time] // see Until
}

// Inputs gives digests of all that the resources of w depend on, each part in
// the same order every time: when they are the same, so are the bytes that
// Render gives.
func (r *Renderer) Inputs(w *model.Workload) [][]byte {
	gateway := r.ix.mesh.Gateway(w.Service)
	frame := r.frameInputs()
	users := r.ix.egressUsers(w)
	own := digest.Of(w, r.past(w), gateway, r.past(gateway), users, r.past(users), r.ix.crowd(w))
	out := [][]byte{frame[:], own[:]}
	return append(out, r.view(w)...)
}

// viewer is what decides which services a workload may know.
type viewer struct {
	service model.Ref
	role    model.Role
}

// view gives what w may see of services and externals.
func (r *Renderer) view(w *model.Workload) [][]byte {
	k := viewer{w.Service, w.Role}
	r.inputs.mu.Lock()
	out, ok := r.inputs.views[k]
	r.inputs.mu.Unlock()
	if ok {
		return out
	}
	for _, ref := range slices.SortedFunc(maps.Keys(visible(r.ix.mesh, w)), model.Ref.Compare) {
		sum := r.inputsOf(ref)
		out = append(out, sum[:])
	}
	r.inputs.mu.Lock()
	defer r.inputs.mu.Unlock()
	r.inputs.views[k] = out
	return out
}

// frameInputs are those of every proxy.
func (r *Renderer) frameInputs() digest.Sum {
	r.inputs.mu.Lock()
	defer r.inputs.mu.Unlock()
	if !r.inputs.ready {
		frame := *r.ix.mesh
		frame.Services, frame.Gateways, frame.Externals = nil, nil, nil
		r.inputs.frame = digest.Of(frame, r.past(frame), r.opts.Commit, r.opts.Static)
		r.inputs.ready = true
	}
	return r.inputs.frame
}

// inputsOf gives what clients see of a service or an external: itself and its
// workloads.
func (r *Renderer) inputsOf(ref model.Ref) digest.Sum {
	r.inputs.mu.Lock()
	sum, ok := r.inputs.known[ref]
	r.inputs.mu.Unlock()
	if ok {
		return sum
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
	sum = digest.Of(parts...)
	r.inputs.mu.Lock()
	defer r.inputs.mu.Unlock()
	r.inputs.known[ref] = sum
	return sum
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
				r.inputs.ends(t)
			}
			return
		}
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			for _, i := range timely(v.Type()) {
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

// Until is when Inputs gives something else although nothing in the mesh changes,
// of what was asked for so far: the first time after Now that resources depend on.
// Zero is never.
func (r *Renderer) Until() time.Time {
	if t := r.inputs.until.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// ends notes a time that is not over yet.
func (i *inputs) ends(t time.Time) {
	for {
		was := i.until.Load()
		if was != nil && !t.Before(*was) || i.until.CompareAndSwap(was, &t) {
			return
		}
	}
}

func timeOf(v reflect.Value) (time.Time, bool) {
	if !v.IsValid() || v.Type() != reflect.TypeFor[time.Time]() || !v.CanInterface() {
		return time.Time{}, false
	}
	t, ok := v.Interface().(time.Time)
	return t, ok
}

// timelyFields remembers, by type, what timely gives.
var timelyFields sync.Map

// timely gives the fields of a struct type that may hold a time: looking at all
// of them in every mesh would take longer than the digests.
func timely(t reflect.Type) []int {
	if known, ok := timelyFields.Load(t); ok {
		return known.([]int)
	}
	var out []int
	for i := range t.NumField() {
		if holdsTime(t.Field(i).Type) {
			out = append(out, i)
		}
	}
	timelyFields.Store(t, out)
	return out
}

// holdsTime says that a value of a type may hold a time.
func holdsTime(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return holdsTime(t.Elem())
	case reflect.Interface:
		return true
	case reflect.Struct:
		return t == reflect.TypeFor[time.Time]() || len(timely(t)) > 0
	}
	return false
}
