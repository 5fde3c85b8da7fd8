package check

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
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
			before := len(c.diags)
			if c.condition("claim", n); len(c.diags) == before {
				c.numbersOfClaim(n)
			}
		}
	}
}

// numbersOfClaim refuses conditions that hold for the text of some numbers: no
// proxy would compare it, and a number in a token would slip through.
func (c *overIntent) numbersOfClaim(n *intent.NamedMatch) {
	which, err := reach.NumbersOf(model.NamedMatch{Name: n.Name.V, Kind: model.MatchKind(n.Kind.V), Value: n.Value.V})
	switch {
	case err != nil:
		c.report(diag.ClaimNumbers, n.Value.At, "claim %q: for which numbers this holds is %s", literal.Clip(n.Name.V), err).Help = "make the expression simpler"
	case which == reach.SomeNumbers:
		c.report(diag.ClaimNumbers, n.Value.At, "claim %q: %s %q would hold for some numbers, and proxies do not compare numbers as text", literal.Clip(n.Name.V), n.Kind.V, literal.Clip(n.Value.V)).
			Help = "write a rule for each number with `exact`, or an expression that no number matches, such as \"[a-z][a-z0-9]*\""
	}
}

// headersOfClaims refuses conditions on headers that claims are put in: what is
// asked is the claim.
func (o *ruleOwner) headersOfClaims(r *intent.Rule) {
	for _, h := range r.Headers {
		for _, t := range o.sec.JWT {
			for _, put := range t.ClaimHeaders {
				if strings.EqualFold(put.Key.V, h.Name.V) {
					d := o.report(diag.HeaderOfClaim, h.Name.At, "%s %q: header %q holds claim %q of %q", o.kind, o.name, h.Name.V, put.Value.V, t.Name.V)
					d.Help = "write claims: \"" + t.Name.V + "\": \"" + put.Value.V + "\": …"
					d.Related = []diag.Related{{Range: put.Key.At, Message: "which puts it there"}}
				}
			}
		}
	}
}
