package compiler

import (
	"fmt"
	"path"
	"slices"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/lower"
	"github.com/meshc/meshc/compiler/model"
)

// state is what a Session knows of the last state of a mesh, but for text: as one
// entry of a cache, which another process reads. It is found by the subtree, and
// whatever it says is asked for by content, so it does not matter of which mesh it
// is and how old. What it says about time is not asked for at all. See
// docs/decisions/0013-one-change-from-a-cache.md.
type state struct {
	cache load.Cache
	key   string
	known known
	parts *load.Parts
	was   *picture    // what was read; nil for nothing
	last  *model.Mesh // that of was, as lowering gives it
}

// stateFrom gives what a cache has of a subtree: nothing where that is lost,
// damaged, or of another build.
func stateFrom(cache load.Cache, dir string) *state {
	s := newState(cache, dir)
	if raw, ok := cache.Get(s.key); ok && s.read(raw) != nil {
		return newState(cache, dir)
	}
	return s
}

// read makes s what an image shows. An image that nobody here wrote may be of
// something that is no mesh, which stages do not expect.
func (s *state) read(raw []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errPicture, v)
		}
	}()
	was, err := readPicture(raw)
	if err != nil {
		return err
	}
	return s.restore(was)
}

func newState(cache load.Cache, dir string) *state {
	return &state{cache: cache, key: cache.Key("state", []byte(path.Clean(dir))), parts: &load.Parts{}}
}

// restore makes s what a picture shows.
func (s *state) restore(p *picture) error {
	in, m := p.frame.Intent, p.frame.Model
	in.Services, m.Services = p.intents, p.models
	sorted, err := s.known.lowers.Restore(&p.lowers, &in, &m)
	if err != nil {
		return err
	}
	if err := s.known.checks.Restore(&p.checks, &in, sorted); err != nil {
		return err
	}
	s.known.intent, s.parts, s.was, s.last = &in, load.NewParts(p.frame.Parts, &in), p, sorted
	return nil
}

// save leaves what is known now for the next process, unless that is what s was
// read from, or there are errors, and says how the model, sorted, differs from
// those before; nil is one that later stages refused. What cannot be written is not left: the compile
// has its result, and the next one does without.
func (s *state) save(sorted *model.Mesh) (step *Step) {
	defer func() { _ = recover() }()
	in, m, parts := s.known.intent, s.known.lowers.Model(), s.parts.Save()
	if in == nil || m == nil || parts == nil || !s.known.lowers.Of(in) {
		return nil // an error of load leaves stages with what they knew before, which is of another intent
	}
	if s.was.shows(in, m, parts) {
		return s.was.frame.step()
	}
	checks := s.known.checks.Save()
	if checks == nil {
		return nil
	}
	next := &picture{
		frame:  frame{Name: newName(), Past: stepFrom(s.was, s.last, sorted), Intent: *in, Model: *m, Parts: parts},
		checks: *checks, lowers: *s.known.lowers.Save(), intents: in.Services, models: m.Services,
	}
	next.frame.Intent.Services, next.frame.Model.Services = nil, nil
	next.frame.Intent.Rules, next.frame.Intent.Suppressions = nil, nil // a load has its own
	s.cache.PutParts(s.key, next.parts(s.was))
	return next.frame.step()
}

// picture is a state as plain data.
type picture struct {
	frame   frame
	checks  check.Saved
	lowers  lower.Saved
	intents []*intent.Service
	models  []*model.Service // of intents
	pieces  [][]byte         // of the image that it was read from
}

// frame is what there is but for services and findings.
type frame struct {
	Name   string // of the model
	Past   []pastModel
	Intent intent.Mesh
	Model  model.Mesh
	Parts  []load.SavedPart
}

// shows says that a picture is one of a state. The same pointers hold the same.
func (p *picture) shows(in *intent.Mesh, m *model.Mesh, parts []load.SavedPart) bool {
	return p != nil && slices.Equal(p.intents, in.Services) && slices.Equal(p.models, m.Services) &&
		slices.Equal(p.frame.Intent.Gateways, in.Gateways) && slices.Equal(p.frame.Model.Gateways, m.Gateways) &&
		slices.Equal(p.frame.Intent.Externals, in.Externals) && slices.Equal(p.frame.Model.Externals, m.Externals) &&
		digest.Of(p.frame.Intent.Config) == digest.Of(in.Config) &&
		slices.EqualFunc(p.frame.Parts, parts, func(a, b load.SavedPart) bool { return a.Dir == b.Dir && a.Key == b.Key })
}
