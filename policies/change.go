package policies

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// change is what policies about changes are about.
type change struct {
	before, after *model.Mesh
	report        *behave.Report
	now           time.Time
	pairs         *behave.Pairing  // made by paired
	access        []*behave.Access // made by admissions
	asked         bool
	approached    map[model.Ref]bool // made by admissions
}

// paired is both meshes with one name for what is one thing in both: whoever
// renames or moves a service changes it, and makes no new one that nothing is held against.
func (c *change) paired() *behave.Pairing {
	if c.pairs == nil {
		c.pairs = behave.Pair(c.before, c.after)
	}
	return c.pairs
}

// overChange gives the judge of a policy about changes, nil for one about meshes.
func (p *policy) overChange() func(*change) []finding {
	switch p.says.kind {
	case "canary":
		return p.canary
	case "mtls":
		return (*change).loosened
	case "access":
		return (*change).widened
	case "freeze":
		return p.freeze
	}
	return nil
}

func (p *policy) canary(c *change) []finding {
	out := c.unknowns("how far shares grow")
	for i := range c.report.Objects {
		o := &c.report.Objects[i]
		if o.Kind == behave.ExternalKind {
			continue
		}
		for j := range o.Changes {
			if f := p.grown(o, &o.Changes[j]); f != nil {
				out = append(out, *f)
			}
		}
	}
	return out
}

// grown finds the destination whose share of the requests of a change grows
// most, if that is more than the policy allows. Before, they were served.
func (p *policy) grown(o *behave.Object, c *behave.Change) *finding {
	if len(c.Before.To) == 0 {
		return nil
	}
	share := map[string]uint32{}
	for _, d := range c.Before.To {
		share[d.Cluster] = d.BasisPoints
	}
	var most uint32
	var to *behave.Destination
	for i := range c.After.To {
		d := &c.After.To[i]
		if old := share[d.Cluster]; d.BasisPoints > old && d.BasisPoints-old > most {
			most, to = d.BasisPoints-old, d
		}
	}
	if most <= p.says.step {
		return nil
	}
	words := strings.Join(c.Words, "; or ")
	return &finding{code: diag.PolicyCanary, of: o.Name, routes: strings.Split(c.Route, " → "), at: place(o, c, behave.Shift, behave.Reroute),
		text: fmt.Sprintf("the share of %s grows from %s %% to %s %%, by more than %s points, for requests to %s %s with %s",
			to.Name, model.Hundredths(share[to.Cluster]), model.Hundredths(to.BasisPoints), model.Hundredths(p.says.step), o.Kind, o.Ref, words),
		help: "go in smaller steps, one at a time", sample: c.Witness.String()}
}

// place is where a change was written, if it can be told by the classes.
func place(o *behave.Object, c *behave.Change, classes ...behave.Class) model.Origin {
	for _, d := range c.Deltas {
		if slices.Contains(classes, d.Class) && !d.AfterAt.IsZero() {
			return d.AfterAt
		}
	}
	return o.Origin[1]
}

// unknowns are the objects of which it is not known what changes.
func (c *change) unknowns(what string) []finding {
	var out []finding
	for i := range c.report.Objects {
		o := &c.report.Objects[i]
		for _, u := range o.Unknown {
			out = append(out, finding{code: diag.PolicyUnknown, of: o.Name, at: o.Origin[1],
				text: fmt.Sprintf("it cannot be told of %s %s %s: %s", o.Kind, o.Ref, what, u)})
		}
	}
	return out
}

func (p *policy) freeze(c *change) []finding {
	i := slices.IndexFunc(p.says.windows, func(w window) bool { return w.open(c.now) })
	if i < 0 {
		return nil
	}
	w := &p.says.windows[i]
	out := c.unknowns("whether it behaves as before, while " + w.name + " is on")
	for i := range c.report.Objects {
		o := &c.report.Objects[i]
		if len(o.Changes) == 0 {
			continue
		}
		first := &o.Changes[0]
		out = append(out, finding{code: diag.PolicyFreeze, of: o.Name, at: place(o, first, behave.Classes()...),
			text: fmt.Sprintf("what happens to requests to %s %s changes (%s) while %s is on, until %s", o.Kind, o.Ref, classText(o.Classes), w.name, w.until.Format(time.RFC3339)),
			help: "wait until then", sample: first.Witness.String()})
	}
	return out
}

func classText(all []behave.Class) string {
	var out []string
	for _, c := range all {
		out = append(out, string(c))
	}
	return strings.Join(out, " ")
}
