package compiler

import (
	"crypto/rand"
	"maps"
	"slices"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// Step says how a model differs from those that a cache has known.
type Step struct {
	// Name is that of the model, which no other has.
	Name string
	// Since gives, by the names of earlier models, the services that differ or whose
	// default workloads do (xds.Differing). Where more differs a
	// model is not here.
	Since map[string]map[model.Ref]bool
}

// Bounds on what is remembered of earlier models: how many, and how many services
// that differ. Beyond, all files are looked at.
const (
	maxSteps     = 16
	maxDiffering = 256
)

// pastModel is an earlier model.
type pastModel struct {
	Name    string
	Differs []model.Ref // from that which remembers it
}

// newName is one that nobody else has.
func newName() string { return rand.Text() }

// stepFrom is the model after another, which was known as a picture.
func stepFrom(was *picture, last, now *model.Mesh) (past []pastModel) {
	if was == nil || now == nil {
		return nil
	}
	services, ok := xds.Differing(last, now)
	if !ok {
		return nil
	}
	for _, p := range slices.Insert(slices.Clone(was.frame.Past), 0, pastModel{Name: was.frame.Name}) {
		all := maps.Clone(services)
		for _, ref := range p.Differs {
			all[ref] = true
		}
		if len(past) < maxSteps && len(all) <= maxDiffering {
			past = append(past, pastModel{p.Name, slices.Collect(maps.Keys(all))})
		}
	}
	return past
}

// step says how the model of a frame differs from earlier ones.
func (f *frame) step() *Step {
	s := &Step{Name: f.Name, Since: map[string]map[model.Ref]bool{f.Name: {}}}
	for _, p := range f.Past {
		differs := make(map[model.Ref]bool, len(p.Differs))
		for _, ref := range p.Differs {
			differs[ref] = true
		}
		s.Since[p.Name] = differs
	}
	return s
}
