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
	ix   *index
	opts Options

	mu    sync.Mutex
	known map[model.Ref]digest.Sum  // of a service or an external
	views map[viewer][][]byte       // what is known of all that is visible
	frame digest.Sum                // of what every proxy depends on
	ready bool                      // frame is there
	until atomic.Pointer[time.Time] // see Until
}

func newInputs(ix *index, o Options) *inputs {
	return &inputs{ix: ix, opts: o, known: make(map[model.Ref]digest.Sum), views: make(map[viewer][][]byte)}
}

// Inputs gives digests of all that the resources of w depend on, each part in
// the same order every time: when they are the same, so are the bytes that
// Render gives.
func (r *Renderer) Inputs(w *model.Workload) [][]byte { return r.inputs.of(w) }

// Until is when Inputs gives something else although nothing in the mesh changes,
// of what was asked for so far: the first time after Now that resources depend on.
// Zero is never.
func (r *Renderer) Until() time.Time {
	if t := r.inputs.until.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

func (in *inputs) of(w *model.Workload) [][]byte {
	gateway := in.ix.mesh.Gateway(w.Service)
	frame := in.frameInputs()
	users := in.ix.egressUsers(w)
	own := digest.Of(w, in.past(w), gateway, in.past(gateway), users, in.past(users), in.ix.crowd(w))
	out := [][]byte{frame[:], own[:]}
	return append(out, in.view(w)...)
}

// viewer is what decides which services a workload may know.
type viewer struct {
	service model.Ref
	role    model.Role
}

// view gives what w may see of services and externals.
func (in *inputs) view(w *model.Workload) [][]byte {
	k := viewer{w.Service, w.Role}
	in.mu.Lock()
	out, ok := in.views[k]
	in.mu.Unlock()
	if ok {
		return out
	}
	for _, ref := range slices.SortedFunc(maps.Keys(visible(in.ix.mesh, w)), model.Ref.Compare) {
		sum := in.inputsOf(ref)
		out = append(out, sum[:])
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.views[k] = out
	return out
}

// frameInputs are those of every proxy.
func (in *inputs) frameInputs() digest.Sum {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.ready {
		frame := *in.ix.mesh
		frame.Services, frame.Gateways, frame.Externals = nil, nil, nil
		in.frame = digest.Of(frame, in.past(frame), in.opts.Commit, in.opts.Static)
		in.ready = true
	}
	return in.frame
}

// inputsOf gives what clients see of a service or an external: itself and its
// workloads.
func (in *inputs) inputsOf(ref model.Ref) digest.Sum {
	in.mu.Lock()
	sum, ok := in.known[ref]
	in.mu.Unlock()
	if ok {
		return sum
	}
	s, x := in.ix.mesh.Service(ref), in.ix.mesh.External(ref)
	g := in.ix.mesh.Gateway(ref)
	parts := []any{ref, s, x, in.past(s), in.past(x)}
	if g != nil && g.Egress {
		parts = append(parts, g.SPIFFEID, in.ix.workloads[instance{service: ref}])
	}
	if s != nil {
		for _, v := range s.Versions {
			parts = append(parts, in.ix.workloads[instance{ref, v.Name}])
		}
	}
	sum = digest.Of(parts...)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.known[ref] = sum
	return sum
}

// past says of every time in v whether it is over: all that resources may
// depend on the present for.
func (in *inputs) past(v any) []byte {
	var out []byte
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		if t, ok := timeOf(v); ok {
			out = append(out, '0')
			if t.After(in.opts.Now) {
				out[len(out)-1] = '1'
				in.ends(t)
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

// ends notes a time that is not over yet.
func (in *inputs) ends(t time.Time) {
	for {
		was := in.until.Load()
		if was != nil && !t.Before(*was) || in.until.CompareAndSwap(was, &t) {
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
