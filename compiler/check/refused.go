package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// judgedLists are the rules of one owner that judge the same requests one after
// the other: tokens, the authorizer, deny and allow.
type judgedLists struct {
	allow, deny []model.Rule
	only        bool // what allow takes is let in, and nothing else
	jwt         []model.JWT
	public      []model.Rule
	authorizer  *model.Authorizer
}

// refused finds deny rules of which no request would be let in anyway; and what
// is public, or asked about, although it is refused whatever becomes of that.
func (o *judgedRules) refused(l judgedLists) {
	if l.only {
		o.together("deny beside allow", func() error { return o.deniesNothing(l) }, l.deny, unwritten(l.allow))
	}
	if len(model.Requiring(l.jwt)) > 0 {
		o.beside = withoutToken(l.jwt)
		o.together("public beside deny and allow", func() error { return o.refusedAnyway(l, l.public, "is public") }, l.public, unwritten(l.deny), unwritten(l.allow))
		o.beside = reach.All()
	}
	if a := l.authorizer; a != nil && !byHeaders(l.allow) && !byHeaders(l.deny) {
		o.together("authorizer beside deny and allow", func() error { return o.refusedAnyway(l, a.On, "is asked about") }, a.On, unwritten(l.deny), unwritten(l.allow))
	}
}

// unwritten are rules beside those that are judged: nobody has to have written
// them for there to be something to judge.
func unwritten(list []model.Rule) []model.Rule {
	out := slices.Clone(list)
	for i := range out {
		out[i].Origin = model.Origin{}
	}
	return out
}

// byHeaders says that a rule looks at headers, which an authorizer may set.
func byHeaders(list []model.Rule) bool {
	return slices.ContainsFunc(list, func(r model.Rule) bool { return len(r.Headers) > 0 })
}

// withoutToken holds for requests that only `public` lets go on.
func withoutToken(providers []model.JWT) reach.Pred {
	var any []reach.Pred
	for _, name := range model.Requiring(providers) {
		any = append(any, reach.HasToken(name))
	}
	return reach.Not(reach.Any(any...))
}

// deniesNothing reports deny rules that hold for no request that is allowed.
func (o *judgedRules) deniesNothing(l judgedLists) error {
	allowed, err := o.space.Set(letIn(o.mesh, l.allow, nil, true))
	if err != nil || allowed.Empty() {
		return err
	}
	for i := range l.deny {
		r := &l.deny[i]
		holds, err := o.space.Set(reach.OfRule(r, o.mesh.TrustDomain))
		if err != nil {
			return err
		}
		both, err := o.space.Intersection(holds, allowed)
		if err != nil {
			return err
		}
		if r.Origin.IsZero() || holds.Empty() || !both.Empty() {
			continue
		}
		d := o.report(diag.RefusesNothing, r.Origin, "%s: this deny rule refuses nothing that would be let in without it", o.owner)
		d.Witness = witnessAt(o.space.Witness(holds), o.host)
	}
	return nil
}

// refusedAnyway reports rules of a list whose requests, as far as what is asked
// beside holds for them, are all refused by deny and allow.
func (o *judgedRules) refusedAnyway(l judgedLists, list []model.Rule, verb string) error {
	in, err := o.space.Set(letIn(o.mesh, l.allow, l.deny, l.only))
	if err != nil || in.Empty() {
		return err // where nobody is let in, that is not about one rule
	}
	for i := range list {
		r := &list[i]
		holds, err := o.space.Set(reach.All(reach.OfRule(r, o.mesh.TrustDomain), o.beside))
		if err != nil {
			return err
		}
		both, err := o.space.Intersection(holds, in)
		if err != nil {
			return err
		}
		if r.Origin.IsZero() || holds.Empty() || !both.Empty() {
			continue
		}
		d := o.report(diag.RefusedAnyway, r.Origin, "%s: whatever %s by this rule is refused by `deny` and `allow`", o.owner, verb)
		d.Help = "take it away, or let these requests in"
		d.Witness = witnessAt(o.space.Witness(holds), o.host)
	}
	return nil
}

// exceptsNothing reports exceptions from what an authorizer is asked about that
// it is not asked about anyway.
func (o *judgedRules) exceptsNothing(on, except []heldRule) error {
	if len(on) == 0 {
		return nil
	}
	all, err := o.space.Union(sets(on)...)
	if err != nil {
		return err
	}
	for _, r := range except {
		both, err := o.space.Intersection(all, r.holds)
		if err != nil {
			return err
		}
		if !both.Empty() || r.holds.Empty() || r.rule.Origin.IsZero() {
			continue
		}
		d := o.report(diag.RefusesNothing, r.rule.Origin, "%s: this exception leaves nothing out: no `on` of the authorizer names its requests", o.owner)
		d.Help = "take it away, or let `on` name more"
		d.Witness = witnessAt(o.space.Witness(r.holds), o.host)
	}
	return nil
}
