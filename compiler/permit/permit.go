// Package permit finds small changes of a mesh's files that let a request in
// which is refused: a declared use, an entry of a rule, a narrower deny rule. It
// looks for them on the model, makes them in the text, in memory, and keeps
// those after which the mesh compiles and the request is let in.
package permit

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/fix"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// Bounds of the search.
const (
	maxSteps    = 3   // of one change
	maxPlans    = 200 // that are looked at on the model
	maxCompared = 6   // of plans, the narrowest first, whose sets of requests are compared
	maxCompiles = 8   // of plans
	maxChanges  = 3   // that are given
)

// Question is a request of a service, or of a client of a gateway.
type Question struct {
	From    model.Ref
	Request answer.Request
	Now     time.Time
}

// Change of files after which the request is let in.
type Change struct {
	Steps  []string         // what it does, each with its place
	Files  []fix.Change     // sorted by file
	Access []*behave.Access // all that it changes about who reaches what: the one that was asked for first
	Wider  bool             // it lets in all that the first change does, and more

	mesh *model.Mesh
	size int // of the text that is written or taken away
}

// ErrNoMesh says that the mesh has errors, so that there is nothing to change.
var ErrNoMesh = errors.New("the mesh does not compile")

// Find gives such changes. The first lets in least: no other that was found lets in
// only a part of what it does, as the engine of predicates has it. Behind it are those
// with less text, which may let in more. It gives none for a request that is let in
// already, and for one that no such change lets in. An error is for what kept it from
// looking.
func Find(ctx context.Context, fsys fs.FS, opts compiler.Options, q Question) ([]Change, error) {
	res, err := compiler.Compile(ctx, fsys, opts)
	switch {
	case err != nil:
		return nil, err
	case res.Model == nil:
		return nil, ErrNoMesh
	}
	s := &search{fsys: fsys, mesh: res.Intent, q: q}
	plans := s.plans(res.Model)
	narrow := narrowest(plans)
	var out []Change
	done := map[string]bool{} // what plans do, however they are written
	tries := 0
	look := func(plans []plan, most int) error {
		for _, p := range plans {
			if tries == maxCompiles || len(out) == most {
				return nil
			}
			if done[p.text()] {
				continue
			}
			tries++
			c, err := try(ctx, fsys, opts, q, res.Model, p)
			if err != nil {
				return err
			}
			if c != nil {
				out = append(out, *c)
				done[p.text()] = true
			}
		}
		return nil
	}
	if err := look(narrow, 1); err != nil {
		return nil, err
	}
	if err := look(plans, maxChanges); err != nil {
		return nil, err
	}
	out = leastFirst(out, func(c *Change) (*model.Mesh, int) { return c.mesh, c.size })
	for i := 1; i < len(out); i++ {
		if out[i].Wider = lets(out[0].mesh, out[i].mesh) == more; sameAsOne(out[:i], &out[i]) {
			out = slices.Delete(out, i, i+1)
			i--
		}
	}
	return out, nil
}

// sameAsOne says that a change lets in what one of others does.
func sameAsOne(others []Change, c *Change) bool {
	return slices.ContainsFunc(others, func(o Change) bool { return lets(o.mesh, c.mesh) == same })
}

// try makes a plan in the text; nil where that does not do it.
func try(ctx context.Context, fsys fs.FS, opts compiler.Options, q Question, before *model.Mesh, p plan) (*Change, error) {
	res, files, err := fix.With(ctx, fsys, opts, p.edits())
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || res.Model == nil {
		return nil, nil // the text is not what the plan expects
	}
	got, ok := ask(res.Model, q)
	if !ok || !got.Outcome.Good() {
		return nil, nil
	}
	out := &Change{Files: files, mesh: res.Model, size: p.size()}
	for _, s := range p.steps {
		out.Steps = append(out.Steps, s.does+" at "+s.place.String())
	}
	refs := concerned(before, res.Model)
	if got.Service != nil {
		refs = slices.DeleteFunc(refs, func(r model.Ref) bool { return r == *got.Service })
		refs = slices.Insert(refs, 0, *got.Service)
	}
	for i, ref := range refs {
		if a := behave.CompareAccess(before, res.Model, ref); i == 0 || len(a.Entries)+len(a.Unknown) > 0 {
			out.Access = append(out.Access, a)
		}
	}
	return out, nil
}

func ask(m *model.Mesh, q Question) (*answer.Answer, bool) {
	req := q.Request
	return answer.Ask(m, q.From, &req, q.Now)
}

// step is one change, of the text and of the model.
type step struct {
	does  string
	place diag.Range
	edits []diag.Edit
	apply func(*model.Mesh) *model.Mesh
	wide  bool // it may let in more than requests of this caller, method and path
}

// plan is steps, and the model after them.
type plan struct {
	mesh  *model.Mesh
	steps []step
}

func (p plan) edits() []diag.Edit {
	var out []diag.Edit
	for _, s := range p.steps {
		out = append(out, s.edits...)
	}
	return out
}

// text of what the plan does.
func (p plan) text() string {
	var out []string
	for _, s := range p.steps {
		out = append(out, s.does)
	}
	return strings.Join(out, "; ")
}

// size of the text that is written or taken away.
func (p plan) size() int {
	n := 0
	for _, e := range p.edits() {
		n += len(e.New) + 1
	}
	return n
}

// wide counts the steps that may let in more than was asked for.
func (p plan) wide() int {
	n := 0
	for _, s := range p.steps {
		if s.wide {
			n++
		}
	}
	return n
}

// search for plans on the model.
type search struct {
	fsys fs.FS
	mesh *intent.Mesh
	q    Question
}

// plans that let the request in, those with the least text first. A plan goes on as long as
// something else refuses the request than before.
func (s *search) plans(m *model.Mesh) []plan {
	var done []plan
	work := []plan{{mesh: m}}
	for seen := 0; len(work) > 0 && seen < maxPlans; seen++ {
		p := work[0]
		work = work[1:]
		got, ok := ask(p.mesh, s.q)
		switch {
		case !ok:
			return nil
		case got.Outcome.Good():
			if len(p.steps) > 0 {
				done = append(done, p)
			}
			continue
		case len(p.steps) == maxSteps:
			continue
		}
		for _, next := range s.steps(p.mesh, got) {
			work = append(work, plan{next.apply(p.mesh), append(slices.Clip(p.steps), next)})
		}
	}
	slices.SortStableFunc(done, func(a, b plan) int {
		return cmp.Or(cmp.Compare(len(a.steps), len(b.steps)), cmp.Compare(a.size(), b.size()))
	})
	return leastOf(done)
}

// leastOf leaves plans out that do all that a smaller one does, and more, and are made
// for the request alone no more than that.
func leastOf(sorted []plan) []plan {
	var out []plan
	for _, p := range sorted {
		if !slices.ContainsFunc(out, p.contains) {
			out = append(out, p)
		}
	}
	return out
}

func (p plan) contains(o plan) bool {
	if p.wide() < o.wide() {
		return false
	}
	all := p.edits()
	return !slices.ContainsFunc(o.edits(), func(e diag.Edit) bool { return !slices.Contains(all, e) })
}

// steps after which the request comes further than it did.
func (s *search) steps(m *model.Mesh, got *answer.Answer) []step {
	var tried []step
	switch got.Outcome {
	case answer.NotDeclared:
		tried = s.declare(m, got)
	case answer.Denied:
		tried = s.judge(m, got).rules(got.Authorization.At)
	case answer.Unknown:
		tried = s.judge(m, got).publish()
	}
	return slices.DeleteFunc(tried, func(one step) bool {
		now, ok := ask(one.apply(m), s.q)
		return !ok || refusal(now) == refusal(got)
	})
}

// refusal names what refuses a request.
func refusal(a *answer.Answer) string {
	if a.Authorization != nil {
		return string(a.Outcome) + a.Authorization.Rule + a.Authorization.At
	}
	return string(a.Outcome)
}
