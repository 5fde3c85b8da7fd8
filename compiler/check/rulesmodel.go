package check

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// rules finds rules on callers and requests that change nothing.
func (c *overModel) rules() {
	for _, s := range c.in.services {
		c.ruleLists("service "+s.Ref.String(), s.Allow, s.Deny)
		c.ruleList("service "+s.Ref.String(), "audit", s.Audit)
		c.ruleList("service "+s.Ref.String(), "public", s.Public)
		c.askedLists("service "+s.Ref.String(), s.Authorizer)
	}
	for _, g := range c.in.gateways {
		c.ruleLists("gateway "+g.Ref.String(), g.Allow, g.Deny)
		c.ruleList("gateway "+g.Ref.String(), "audit", g.Audit)
		c.ruleList("gateway "+g.Ref.String(), "public", g.Public)
		c.askedLists("gateway "+g.Ref.String(), g.Authorizer)
	}
}

// askedLists judges what an authorizer is asked about.
func (c *overModel) askedLists(owner string, a *model.Authorizer) {
	if a == nil {
		return
	}
	c.ruleList(owner, "on", a.On)
	c.ruleList(owner, "except", a.Except)
	for i := range a.On {
		hides := slices.IndexFunc(a.Except, func(x model.Rule) bool { return !c.ruleIsEmpty(&x) && c.ruleCovers(&x, &a.On[i]) })
		if hides < 0 || c.ruleIsEmpty(&a.On[i]) {
			continue
		}
		d := c.report(diag.RuleCovered, a.On[i].Origin, "%s: whatever this `on` names, `except` leaves out, so the authorizer is not asked about it", owner)
		d.Related = []diag.Related{{Range: a.Except[hides].Origin, Message: "the exception"}}
		d.Help = "take it away, or narrow the exception"
	}
}

func (c *overModel) ruleLists(owner string, allow, deny []model.Rule) {
	c.ruleList(owner, "allow", allow)
	c.ruleList(owner, "deny", deny)
	for i := range deny {
		if deny[i].Everything() {
			d := c.report(diag.DeniesEverybody, deny[i].Origin, "%s: this rule refuses every request", owner)
			d.Help = "add conditions to it"
			return
		}
	}
	for i := range allow {
		hides := slices.IndexFunc(deny, func(d model.Rule) bool { return !c.ruleIsEmpty(&d) && c.ruleCovers(&d, &allow[i]) })
		if hides < 0 || allow[i].Origin.IsZero() || c.ruleIsEmpty(&allow[i]) {
			continue
		}
		d := c.report(diag.DenyHidesAllow, allow[i].Origin, "%s: whatever this rule lets in, a deny rule refuses", owner)
		d.Related = []diag.Related{{Range: deny[hides].Origin, Message: "the deny rule"}}
		d.Help = "take this rule away, or narrow the other one"
	}
}

// ruleList finds, in one list, rules that never hold and rules that another one
// contains; of two that say the same, the second.
func (c *overModel) ruleList(owner, verb string, list []model.Rule) {
	for i := range list {
		if c.ruleIsEmpty(&list[i]) {
			c.report(diag.RuleNeverHolds, list[i].Origin, "%s: no request can meet all conditions of this %s rule", owner, verb)
			continue
		}
		for k := range list {
			same := k > i && c.ruleCovers(&list[i], &list[k])
			if k == i || same || list[i].Origin.IsZero() || c.ruleIsEmpty(&list[k]) || !c.ruleCovers(&list[k], &list[i]) {
				continue
			}
			d := c.report(diag.RuleCovered, list[i].Origin, "%s: another %s rule holds whenever this one does", owner, verb)
			d.Related = []diag.Related{{Range: list[k].Origin, Message: "the other rule"}}
			d.Help = "take this rule away"
			break
		}
	}
}

// ruleIsEmpty says that the rule surely never holds.
func (c *overModel) ruleIsEmpty(r *model.Rule) bool {
	if !slices.ContainsFunc(r.Matches(), func(m model.Match) bool { return !reach.Empty(m) && !pathsExclude(m.Paths) }) {
		return true
	}
	if len(r.IPs) > 0 && networksCover(r.NotIPs, r.IPs) {
		return true
	}
	takes := func(id string) bool { return r.TakesCaller(c.mesh.TrustDomain, id) }
	return len(r.Principals) > 0 && !slices.ContainsFunc(r.Principals, takes)
}

// pathsExclude says that a negated condition takes all that another one leaves.
func pathsExclude(ps []model.PathMatch) bool {
	for _, no := range ps {
		if !no.Not {
			continue
		}
		no.Not = false
		if slices.ContainsFunc(ps, func(p model.PathMatch) bool { return !p.Not && reach.PathCovers(no, p) }) {
			return true
		}
	}
	return false
}

// ruleCovers says that a surely holds whenever b does.
func (c *overModel) ruleCovers(a, b *model.Rule) bool {
	return c.callersCover(a, b) &&
		(len(a.IPs) == 0 || len(b.IPs) > 0 && networksCover(a.IPs, b.IPs)) && networksCover(b.NotIPs, a.NotIPs) &&
		(len(a.Ports) == 0 || len(b.Ports) > 0 && subset(b.Ports, a.Ports)) &&
		reach.AllCovered(b.Matches(), a.Matches())
}

func (c *overModel) callersCover(a, b *model.Rule) bool {
	if len(b.Principals) > 0 {
		return !slices.ContainsFunc(b.Principals, func(id string) bool {
			return b.TakesCaller(c.mesh.TrustDomain, id) && !a.TakesCaller(c.mesh.TrustDomain, id)
		})
	}
	within := len(a.Namespaces) == 0 || len(b.Namespaces) > 0 && subset(b.Namespaces, a.Namespaces)
	excluded := func(id string) bool {
		inB := len(b.Namespaces) == 0 || slices.ContainsFunc(b.Namespaces, func(ns string) bool {
			return strings.HasPrefix(id, model.NamespaceID(c.mesh.TrustDomain, ns))
		})
		return inB && !slices.Contains(b.NotPrincipals, id)
	}
	return (a.Any || a.Authenticated && b.Authenticated) && within && !slices.ContainsFunc(a.NotPrincipals, excluded)
}

// networksCover says that each of inner lies in one of outer.
func networksCover(outer, inner []string) bool {
	return !slices.ContainsFunc(inner, func(in string) bool {
		small, err := netip.ParsePrefix(in)
		return err != nil || !slices.ContainsFunc(outer, func(out string) bool {
			large, err := netip.ParsePrefix(out)
			return err == nil && large.Bits() <= small.Bits() && large.Contains(small.Addr())
		})
	})
}

func subset[T comparable](small, large []T) bool {
	return !slices.ContainsFunc(small, func(x T) bool { return !slices.Contains(large, x) })
}
