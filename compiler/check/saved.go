package check

import (
	"errors"
	"slices"

	"github.com/meshc/meshc/compiler/changed"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// Saved is a Kept as plain data, without the meshes that it is about.
type Saved struct {
	Config        digest.Sum // of the intent
	Intent, Model Findings
}

// Findings are what passes found, by what it is about.
type Findings struct {
	Own   diag.List // of units, sorted
	Of    []int32   // the unit of each
	Whole []diag.List
	Reads changed.SavedReads
}

// Save gives what k knows; nil when that is not of both stages.
func (k *Kept) Save() *Saved {
	if k.intent == nil || k.model == nil {
		return nil
	}
	return &Saved{Config: k.intent.config, Intent: k.intent.save(), Model: k.model.save()}
}

func (m *memory) save() Findings {
	return Findings{Own: m.own, Of: m.of, Whole: m.whole, Reads: m.reads.Save()}
}

// errFindings says that saved findings do not belong to a mesh.
var errFindings = errors.New("findings are damaged")

// Restore makes k what was saved, about the meshes of which it was found.
func (k *Kept) Restore(s *Saved, in *intent.Mesh, m *model.Mesh) error {
	onIntent := &keptIntent{mesh: *in, config: s.Config, scope: scope.New(in)}
	onModel := &keptModel{mesh: *m}
	units := func(services, gateways, externals int) int { return services + gateways + externals }
	err := errors.Join(
		s.Intent.restore(&onIntent.memory, len(intentPasses), units(len(in.Services), len(in.Gateways), len(in.Externals))),
		s.Model.restore(&onModel.memory, len(modelPasses), units(len(m.Services), len(m.Gateways), len(m.Externals))),
	)
	if err != nil {
		return err
	}
	onIntent.scope.Watch(&onIntent.reads)
	k.intent, k.model = onIntent, onModel
	return nil
}

func (f *Findings) restore(m *memory, passes, units int) (err error) {
	bad := func(unit int32) bool { return unit < 0 || int(unit) >= units }
	if len(f.Own) != len(f.Of) || len(f.Whole) != passes || slices.ContainsFunc(f.Of, bad) {
		return errFindings
	}
	m.own, m.of, m.whole = f.Own, f.Of, f.Whole
	m.reads, err = f.Reads.Reads(units)
	return err
}
