// Package policies holds a mesh, and a change of one, against the guardrails
// that are written in it: what neither may do, whoever writes it. Where it
// cannot be told whether a change keeps to one, that is a violation.
package policies

import (
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// Mesh holds a mesh against the policies about meshes, as of now. Exemptions
// that have ended are reported of all policies, and those that nothing needs of
// these. The error is about a policy that cannot be read, which is one that the
// checks of the compiler refuse.
func Mesh(in *intent.Mesh, m *model.Mesh, now time.Time) (diag.List, error) {
	all, err := read(in.Config.Policies)
	if err != nil {
		return nil, err
	}
	var out diag.List
	for _, p := range all {
		out = append(out, p.ended(now)...)
		judge := p.overMesh()
		if judge == nil {
			continue
		}
		out = append(out, p.violations(judge(&mesh{m, now}), now, nil)...)
		out = append(out, p.unused(func(e *exemption) bool { return exists(m, e.of) }, now)...) // the compiler reports those of nothing
	}
	return out, nil
}

// exists says that a mesh has what an exemption is of.
func exists(m *model.Mesh, of behave.Name) bool {
	_, ok := placeIn(m, of, "")
	return ok
}

// Tree is a mesh as of one side of a change.
type Tree struct {
	Intent *intent.Mesh // nil where only the model is known: it has no policies then
	Model  *model.Mesh
}

func (t *Tree) policies() ([]*policy, error) {
	if t.Intent == nil {
		return nil, nil
	}
	return read(t.Intent.Config.Policies)
}

// Comparison is a change that policies and rules judge, as of one moment. What
// they both ask about it is found out once. One call uses it at a time.
type Comparison struct {
	before, after *Tree
	change        *change
}

// Compare is of a change whose behaviour r compares.
func Compare(before, after *Tree, r *behave.Report, now time.Time) *Comparison {
	return &Comparison{before, after, &change{before: before.Model, after: after.Model, report: r, now: now}}
}

// Policies holds the change against the policies about changes of both trees:
// those of after with its exemptions, and those of before that after has not, or
// not in this form, with theirs.
func (c *Comparison) Policies() (diag.List, error) {
	base, err := c.before.policies()
	if err != nil {
		return nil, fmt.Errorf("the tree before: %w", err)
	}
	head, err := c.after.policies()
	if err != nil {
		return nil, fmt.Errorf("the tree after: %w", err)
	}
	before, now := c.change.paired().Before, c.change.now
	var out diag.List
	for _, p := range head {
		judge := p.overChange()
		if judge == nil {
			continue
		}
		out = append(out, p.violations(judge(c.change), now, before)...)
		if had := exemptionsOf(base); c.before.Intent != nil {
			out = append(out, p.unused(func(e *exemption) bool { return !had[e.what()] }, now)...)
		}
	}
	for _, p := range gone(base, head) {
		if judge := p.overChange(); judge != nil {
			p.old = true
			out = append(out, p.violations(judge(c.change), now, before)...)
		}
	}
	out.Sort()
	return out, nil
}

// finding is something that a policy forbids.
type finding struct {
	code   diag.Code
	of     behave.Name
	routes []string // the names of its route, before and after; none: not of a route
	at     model.Origin
	text   string
	help   string
	sample string // a request that shows it
	warn   bool   // a warning, whatever its policy is
}

// violations are the findings that no exemption is for.
func (p *policy) violations(found []finding, now time.Time, before *model.Mesh) diag.List {
	var out diag.List
	for i := range found {
		f := &found[i]
		refused, exempt := "", false
		for _, e := range p.exemptions {
			if !e.is(f) || !now.Before(e.until) {
				continue
			}
			e.used = true
			if why := p.disapproved(e, f, before); why != "" {
				refused = why
				continue
			}
			exempt = true
		}
		if !exempt {
			out.Add(p.violation(f, refused))
		}
	}
	return out
}

func (p *policy) violation(f *finding, refused string) diag.Diagnostic {
	of := ""
	if p.old {
		of = " of BASE"
	}
	d := diag.New(f.code, f.at, "%s %q%s: %s", p.word(), p.name, of, f.text)
	d.Severity, d.Help, d.Witness, d.Why = p.severity, f.help, f.sample, p.why
	if f.warn {
		d.Severity = diag.Warning
	}
	if refused != "" {
		d.Help = refused
	}
	switch {
	case p.old, p.guard: // its place is in the other tree, or in none
	case d.Range.IsZero():
		d.Range = p.at
	default:
		d.Related = []diag.Related{{Range: p.at, Message: "the " + p.word()}}
	}
	return d
}

// disapproved says why an exemption approves of nothing; "" where it does.
// Whoever lets somebody in asks the owner that the service had before.
func (p *policy) disapproved(e *exemption, f *finding, before *model.Mesh) string {
	if p.in.Access == nil || before == nil {
		return ""
	}
	s := before.Service(f.of.Ref)
	if s == nil || s.Owner == "" || s.Owner == e.owner {
		return ""
	}
	return fmt.Sprintf("exemption %q is by %q, and the owner of %s is %q in BASE", e.name, e.owner, f.of.Ref, s.Owner)
}

// ended lists the exemptions that count no more.
func (p *policy) ended(now time.Time) diag.List {
	var out diag.List
	for _, e := range p.exemptions {
		if !now.Before(e.until) {
			d := diag.New(diag.ExemptionEnded, e.at, "%s %q: exemption %q of %s has ended (%s)", p.word(), p.name, e.name, e.what(), e.until.Format(time.RFC3339))
			d.Help = "take it away, or let " + e.owner + " say a later day"
			out.Add(d)
		}
	}
	return out
}

// unused lists the exemptions of a kind that nothing needed and that count.
func (p *policy) unused(report func(*exemption) bool, now time.Time) diag.List {
	var out diag.List
	for _, e := range p.exemptions {
		if !e.used && now.Before(e.until) && report(e) {
			d := diag.New(diag.ExemptionUnused, e.at, "%s %q: nothing needs exemption %q of %s", p.word(), p.name, e.name, e.what())
			d.Help = "take it away"
			out.Add(d)
		}
	}
	return out
}
