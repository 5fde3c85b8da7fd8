package lower

import (
	"errors"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// Saved is a Kept as plain data, without the intent and the model.
type Saved struct {
	Config   digest.Sum // of the intent
	Options  Options
	CalledBy []Calls
	Found    map[int32]diag.List
	Reads    changed.SavedReads
}

// Calls are the identities that declare to call a service.
type Calls struct {
	To  model.Ref
	IDs []string
}

// Model is the last one, in the order of the intent; nil when k knows nothing.
func (k *Kept) Model() *model.Mesh {
	if k.last == nil {
		return nil
	}
	return k.last.mesh
}

// Of says that the last model is that of an intent.
func (k *Kept) Of(in *intent.Mesh) bool { return k.last != nil && k.last.intent == in }

// Save gives what k knows; there is a Model.
func (k *Kept) Save() *Saved {
	l := k.last
	s := &Saved{Config: k.config, Options: k.opts, Found: l.found, Reads: l.reads.Save()}
	for to, ids := range l.calledBy {
		s.CalledBy = append(s.CalledBy, Calls{to, ids})
	}
	return s
}

// errSaved says that a saved model is not that of an intent.
var errSaved = errors.New("what a mesh was lowered to is damaged")

// Restore makes k what was saved of an intent and its model, and gives the model
// as Mesh does.
func (k *Kept) Restore(s *Saved, in *intent.Mesh, m *model.Mesh) (*model.Mesh, error) {
	if len(in.Services) != len(m.Services) || len(in.Gateways) != len(m.Gateways) || len(in.Externals) != len(m.Externals) {
		return nil, errSaved
	}
	l := &lowering{
		opts: s.Options, intent: in, mesh: m, scope: scope.New(in), reads: &changed.Reads{},
		index: make(map[model.Ref]int, len(in.Services)), calledBy: make(map[model.Ref][]string, len(s.CalledBy)), found: s.Found,
	}
	units := l.externalUnit(len(in.Externals))
	for unit := range s.Found {
		if unit < 0 || int(unit) >= units {
			return nil, errSaved
		}
	}
	var err error
	if *l.reads, err = s.Reads.Reads(units); err != nil {
		return nil, err
	}
	if l.found == nil {
		l.found = map[int32]diag.List{}
	}
	for i, s := range in.Services {
		if ref := scope.ServiceRef(s); m.Services[i].Ref == ref {
			l.index[ref] = i
		} else {
			return nil, errSaved
		}
	}
	for _, c := range s.CalledBy {
		l.calledBy[c.To] = c.IDs
	}
	l.scope.Watch(l.reads)
	k.last, k.config, k.opts = l, s.Config, s.Options
	return l.sorted(), nil
}
