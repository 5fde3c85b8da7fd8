package xds

import (
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/model"
)

// Indexed is a mesh and all of its workloads, looked at once for the resources
// of every proxy: what Emit gives for one of many costs a look at all of them.
// It is safe for concurrent use.
type Indexed struct {
	ix     *index
	opts   Options
	inputs *inputs
}

// NewIndexed indexes m and all, which may not change as long as it is used. Two
// workloads of one node id are an error.
func NewIndexed(m *model.Mesh, all []*model.Workload, o Options) (*Indexed, error) {
	ix := emptyIndex(m)
	if err := ix.place(func(model.Ref) bool { return true }, all); err != nil {
		return nil, err
	}
	nameless := o
	nameless.Commit = ""
	return &Indexed{ix: ix, opts: o, inputs: newInputs(ix, nameless)}, nil
}

// Inputs gives a digest of all that the resources of w depend on, but for the name of
// the commit: when it is the same, they differ at most in the commit that route
// metadata names.
func (x *Indexed) Inputs(w *model.Workload) digest.Sum {
	return digest.Of(x.inputs.of(w))
}

// Emit gives the resources of w, one of all, as the function Emit does.
func (x *Indexed) Emit(w *model.Workload) (*Resources, error) {
	return emit(x.ix, w, x.opts)
}

// emit gives the resources of w, sorted.
func emit(ix *index, w *model.Workload, o Options) (*Resources, error) {
	e := &emitter{index: ix, self: w, opts: o, out: &Resources{}}
	if err := e.run(); err != nil {
		return nil, err
	}
	e.out.sort()
	return e.out, nil
}
