package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
)

// claims judges conditions on tokens that sec verifies; owner is whose it is.
func (c *overIntent) claims(owner string, sec *intent.Security, list []*intent.Claims) {
	var known []string
	if sec != nil {
		for _, t := range sec.JWT {
			known = append(known, t.Name.V)
		}
	}
	for _, p := range list {
		if !slices.Contains(known, p.Provider.V) {
			d := c.report(diag.UnknownProvider, p.Provider.At, "%s verifies no tokens of %q", owner, p.Provider.V)
			taken := slices.ContainsFunc(list, func(o *intent.Claims) bool {
				name, ok := diag.MeantName(p.Provider.V, []string{o.Provider.V})
				return ok && o != p && name == o.Provider.V
			})
			meantLabel(d, p.Provider, known, taken)
		}
		if len(p.Of) == 0 {
			c.report(diag.WrongValue, p.Provider.At, "conditions on tokens of %q are empty", p.Provider.V).Help = "write `iss: present: true` to ask for a token"
		}
		for _, n := range p.Of {
			if why := badClaim(n.Name.V); why != "" {
				c.report(diag.BadClaim, n.Name.At, "claim %q %s", literal.Clip(n.Name.V), why)
				continue
			}
			c.condition("claim", n)
		}
	}
}
