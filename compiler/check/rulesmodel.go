package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// rules finds rules on callers and requests that change nothing, exactly: by the
// requests for which they hold.
func (c *overModel) rules() {
	for _, s := range c.in.services {
		o := &judgedRules{overModel: c, owner: "service " + s.Ref.String(), host: s.Host}
		o.all(s.Allow, s.Deny, s.Audit, s.Public, s.Authorizer)
		o.refused(judgedLists{s.Allow, s.Deny, true, s.JWT, s.Public, s.Authorizer})
	}
	for _, g := range c.in.gateways {
		o := &judgedRules{overModel: c, owner: "gateway " + g.Ref.String(), host: exampleHost("*")}
		o.all(g.Allow, g.Deny, g.Audit, g.Public, g.Authorizer)
		o.refused(judgedLists{g.Allow, g.Deny, g.AllowOnly, g.JWT, g.Public, g.Authorizer})
	}
}

// judgedRules are the rules of one service or gateway.
type judgedRules struct {
	*overModel
	owner, host string
	space       *reach.Space
	beside      reach.Pred // what is asked of requests beside the rules
}

// heldRule is a rule with the requests for which it holds.
type heldRule struct {
	rule    *model.Rule
	holds   reach.Set
	covered bool // by others
}

func (o *judgedRules) all(allow, deny, audit, public []model.Rule, a *model.Authorizer) {
	o.together("security", func() error { return o.verdicts(allow, deny) }, allow, deny)
	o.together("audit", func() error { _, err := o.list("audit", audit); return err }, audit)
	o.together("public", func() error { _, err := o.list("public", public); return err }, public)
	if a != nil {
		o.together("authorizer", func() error { return o.asked(a) }, a.On, a.Except)
	}
}

// together judges lists in one space, if anybody has written one of their rules.
func (o *judgedRules) together(what string, judge func() error, lists ...[]model.Rule) {
	preds := []reach.Pred{o.beside}
	var at diag.Range
	for _, list := range lists {
		for i := range list {
			preds = append(preds, reach.OfRule(&list[i], o.mesh.TrustDomain))
			if at.IsZero() {
				at = list[i].Origin
			}
		}
	}
	if at.IsZero() {
		return
	}
	var err error
	if o.space, err = reach.New(reach.DefaultLimits, preds...); err == nil {
		err = judge()
	}
	if err != nil {
		o.undecidedPart(at, o.owner, "every rule of "+what+" changes something", err)
	}
}

func (o *judgedRules) verdicts(allow, deny []model.Rule) error {
	let, err := o.list("allow", allow)
	if err != nil {
		return err
	}
	refused, err := o.list("deny", deny)
	if err != nil {
		return err
	}
	for i := range deny {
		if deny[i].Everything() {
			d := o.report(diag.DeniesEverybody, deny[i].Origin, "%s: this rule refuses every request", o.owner)
			d.Help = "add conditions to it"
			return nil
		}
	}
	return o.hidden(let, refused, func(r heldRule) *diag.Diagnostic {
		d := o.report(diag.DenyHidesAllow, r.rule.Origin, "%s: whatever this rule lets in, a deny rule refuses", o.owner)
		d.Help = "take this rule away, or narrow the other one"
		return d
	}, "the deny rule")
}

// asked judges what an authorizer is asked about.
func (o *judgedRules) asked(a *model.Authorizer) error {
	on, err := o.list("on", a.On)
	if err != nil {
		return err
	}
	except, err := o.list("except", a.Except)
	if err != nil {
		return err
	}
	if err := o.exceptsNothing(on, except); err != nil {
		return err
	}
	return o.hidden(on, except, func(r heldRule) *diag.Diagnostic {
		d := o.report(diag.RuleCovered, r.rule.Origin, "%s: whatever this `on` names, `except` leaves out, so the authorizer is not asked about it", o.owner)
		d.Help = "take it away, or narrow the exception"
		return d
	}, "the exception")
}

// hidden reports rules whose requests others, which come first, take all of.
func (o *judgedRules) hidden(rules, by []heldRule, report func(heldRule) *diag.Diagnostic, word string) error {
	all, err := o.space.Union(sets(by)...)
	if err != nil {
		return err
	}
	for _, r := range rules {
		if r.rule.Origin.IsZero() || r.holds.Empty() {
			continue
		}
		left, err := o.space.Minus(r.holds, all)
		if err != nil {
			return err
		}
		if left.Empty() {
			if err := o.show(report(r), r, by, word); err != nil {
				return err
			}
		}
	}
	return nil
}

// list finds, in one list, rules that never hold and rules that others contain;
// of two that say the same, the second.
func (o *judgedRules) list(verb string, list []model.Rule) ([]heldRule, error) {
	held := make([]heldRule, len(list))
	for i := range list {
		set, err := o.space.Set(reach.OfRule(&list[i], o.mesh.TrustDomain))
		if err != nil {
			return nil, err
		}
		held[i] = heldRule{rule: &list[i], holds: set}
		if set.Empty() {
			o.report(diag.RuleNeverHolds, list[i].Origin, "%s: no request can meet all conditions of this %s rule", o.owner, verb)
		}
	}
	if err := o.contained(verb, held); err != nil {
		return nil, err
	}
	return held, o.jointly(verb, held)
}

// contained reports rules that one other contains.
func (o *judgedRules) contained(verb string, held []heldRule) error {
	for i := range held {
		r := &held[i]
		if r.rule.Origin.IsZero() || r.holds.Empty() {
			continue
		}
		for k := range held {
			if k == i || k > i && held[k].holds == r.holds {
				continue
			}
			left, err := o.space.Minus(r.holds, held[k].holds)
			if err != nil {
				return err
			}
			if left.Empty() {
				r.covered = true
				d := o.report(diag.RuleCovered, r.rule.Origin, "%s: another %s rule holds whenever this one does", o.owner, verb)
				d.Help = "take this rule away"
				if err := o.show(d, *r, held[k:k+1], "the other rule"); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// jointly reports rules that several others contain together, the last ones
// first, because one that is reported contains no other.
func (o *judgedRules) jointly(verb string, held []heldRule) error {
	before := make([]reach.Set, len(held)+1) // what the rules in front hold for
	var after reach.Set
	var err error
	for i, r := range held {
		if before[i+1] = before[i]; !r.covered {
			if before[i+1], err = o.space.Union(before[i], r.holds); err != nil {
				return err
			}
		}
	}
	for i := len(held) - 1; i >= 0; i-- {
		r := &held[i]
		if r.covered {
			continue
		}
		left, err := o.space.Minus(r.holds, before[i])
		if err == nil {
			left, err = o.space.Minus(left, after)
		}
		if err != nil {
			return err
		}
		if left.Empty() && !r.holds.Empty() && !r.rule.Origin.IsZero() {
			r.covered = true
			d := o.report(diag.RuleCovered, r.rule.Origin, "%s: other %s rules together hold whenever this one does", o.owner, verb)
			d.Help = "take this rule away"
			if err := o.show(d, *r, held, "one of the other rules"); err != nil {
				return err
			}
			continue
		}
		if after, err = o.space.Union(after, r.holds); err != nil {
			return err
		}
	}
	return nil
}

// show adds a request for which the rule holds, and which of the others do for
// some of its requests.
func (o *judgedRules) show(d *diag.Diagnostic, r heldRule, others []heldRule, word string) error {
	d.Witness = witnessAt(o.space.Witness(r.holds), o.host)
	for _, x := range others {
		both, err := o.space.Intersection(x.holds, r.holds)
		if err != nil {
			return err
		}
		if x.covered || both.Empty() || x.rule.Origin.IsZero() {
			continue
		}
		d.Related = append(d.Related, diag.Related{Range: x.rule.Origin, Message: word})
	}
	return nil
}

func sets(rules []heldRule) []reach.Set {
	out := make([]reach.Set, len(rules))
	for i, r := range rules {
		out[i] = r.holds
	}
	return out
}
