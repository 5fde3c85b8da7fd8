package check

import (
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

func (c *overModel) sharedIdentities() {
	first := map[string]claim{}
	for _, s := range c.mesh.Services {
		c.claimID(first, s.SPIFFEID, claim{fmt.Sprintf("service %q", s.Ref), s.Origin})
	}
	for _, g := range c.mesh.Gateways {
		c.claimID(first, g.SPIFFEID, claim{fmt.Sprintf("gateway %q", g.Ref), g.Origin})
	}
}

func (c *overModel) claimID(first map[string]claim, id string, by claim) {
	other, shared := first[id]
	if !shared {
		first[id] = by
		return
	}
	d := c.report(diag.SharedAccount, by.at, "%s has the same identity as %s: %s", by.what, other.what, id)
	d.Help = "give one of them its own `serviceAccount`"
	d.Related = []diag.Related{{Range: other.at, Message: "the other one"}}
}

// expiredFaults reports each fault once, also when it does several things.
func (c *overModel) expiredFaults() {
	for _, s := range c.withFaults() {
		for _, r := range s.Routes {
			seen := map[string]bool{}
			for _, f := range r.Faults() {
				if !seen[f.Name] {
					c.expired(s, f.Name, f.Until, f.Origin)
				}
				seen[f.Name] = true
			}
		}
	}
}

func (c *overModel) expired(s *model.Service, name string, until time.Time, at diag.Range) {
	if c.now.Before(until) {
		return
	}
	d := c.report(diag.FaultExpired, at, "fault %q of service %q ended at %s", name, s.Name, until.Format(time.RFC3339))
	d.Help = "take it away, or set a later `until`"
	d.WithFix("take the fault away", diag.Edit{Op: diag.RemoveAround, Range: at})
}
