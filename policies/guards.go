package policies

import (
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// Guards are policies about changes that hold whatever a mesh says of itself. Where a
// mesh has a policy of that kind, its exemptions count for the guard.
type Guards struct {
	MTLS   bool // mutual TLS is never weaker: mtls
	Access bool // nobody is let in who was not: access
}

// Hold gives what of a step, from what serves to another mesh, the guards forbid. An
// exemption that lets somebody in has to be by the owner that the service has in
// what serves.
func (g Guards) Hold(before *model.Mesh, after *Tree, now time.Time) (diag.List, error) {
	var written []*intent.Policy
	if after.Intent != nil {
		written = after.Intent.Config.Policies
	}
	var guards []*intent.Policy
	add := func(name string, on bool, is func(*intent.Policy) bool, bare intent.Policy) {
		if !on {
			return
		}
		bare.Name.V = name
		for _, p := range written {
			if is(p) {
				bare.Exemptions = append(bare.Exemptions, p.Exemptions...)
			}
		}
		guards = append(guards, &bare)
	}
	add("mtls", g.MTLS, func(p *intent.Policy) bool { return p.MTLS != nil }, intent.Policy{MTLS: &diag.Range{}})
	add("access", g.Access, func(p *intent.Policy) bool { return p.Access != nil }, intent.Policy{Access: &diag.Range{}})
	all, err := read(guards)
	if err != nil {
		return nil, fmt.Errorf("exemptions: %w", err)
	}
	c := &change{before: before, after: after.Model, now: now}
	var out diag.List
	for _, p := range all {
		p.guard = true
		out = append(out, p.violations(p.overChange()(c), now, c.paired().Before)...)
	}
	out.Sort()
	return out, nil
}
