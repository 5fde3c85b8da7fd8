package check

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// limitOverlaps finds rate limits that count no request, because none of those
// that are let in, or that their routes take, meets them; limits that never
// refuse, because another one always does before; and limits that count the
// same requests in one place. Requests are counted once they are let in.
func (c *overModel) limitOverlaps() {
	for _, s := range c.in.services {
		l := &judgedLimits{overModel: c, owner: "service " + s.Ref.String(), host: s.Host, list: s.RateLimits, letIn: letIn(c.mesh, s.Allow, s.Deny, true)}
		l.all(s.Origin)
	}
	for _, g := range c.in.gateways {
		l := &judgedLimits{overModel: c, owner: "gateway " + g.Ref.String(), host: exampleHost("*"), list: g.RateLimits, gateway: g, letIn: letIn(c.mesh, g.Allow, g.Deny, g.AllowOnly)}
		l.all(g.Origin)
	}
}

// letIn are the requests that rules let in.
func letIn(m *model.Mesh, allow, deny []model.Rule, only bool) reach.Pred {
	of := func(list []model.Rule) reach.Pred {
		var any []reach.Pred
		for i := range list {
			any = append(any, reach.OfRule(&list[i], m.TrustDomain))
		}
		return reach.Any(any...)
	}
	if !only {
		return reach.Not(of(deny))
	}
	return reach.All(of(allow), reach.Not(of(deny)))
}

// judgedLimits are the limits of one service or gateway, in the order in which
// requests come by.
type judgedLimits struct {
	*overModel
	owner, host string
	list        []model.RateLimit
	gateway     *model.Gateway // nil for a service
	letIn       reach.Pred
	allowance   reach.Allowance // of the tables of a gateway
	space       *reach.Space
	counted     []reach.Set // by each limit, of whatever route
}

func (l *judgedLimits) all(at diag.Range) {
	if len(l.list) == 0 {
		return
	}
	if err := l.judge(); err != nil {
		l.undecidedPart(at, l.owner, "every rate limit counts requests", err)
	}
}

func (l *judgedLimits) judge() error {
	preds := []reach.Pred{l.letIn}
	for i := range l.list {
		preds = append(preds, reach.OfMatches(l.list[i].Match))
	}
	var err error
	if l.space, err = reach.New(reach.DefaultLimits, preds...); err != nil {
		return err
	}
	in, err := l.space.Set(l.letIn)
	if err != nil || in.Empty() {
		return err // nothing is limited where nobody is let in
	}
	for i := range l.list {
		meets, err := l.space.Set(reach.OfMatches(l.list[i].Match))
		if err != nil {
			return err
		}
		counts, err := l.space.Intersection(in, meets)
		if err != nil {
			return err
		}
		l.counted = append(l.counted, counts)
		if counts.Empty() {
			l.countsNothing(&l.list[i], meets)
			continue
		}
		if err := l.ofRoutes(&l.list[i]); err != nil {
			return err
		}
	}
	return l.pairs()
}

func (l *judgedLimits) witness(set reach.Set) string {
	return witnessAt(l.space.Witness(set), l.host)
}

// countsNothing reports a limit whose requests are none, or all refused before.
func (l *judgedLimits) countsNothing(r *model.RateLimit, meets reach.Set) {
	d := l.report(diag.LimitNotMet, r.Origin, "%s: rate limit %q counts nothing: no request can meet its `match`", l.owner, r.Name)
	d.Help = "take it away, or write a `match` that requests meet"
	if !meets.Empty() {
		d.Message = fmt.Sprintf("%s: rate limit %q counts nothing: every request that meets it is refused before, by `allow` and `deny`", l.owner, r.Name)
		d.Witness = l.witness(meets)
	}
}

// ofRoutes reports a limit of a gateway when no request of its routes meets it.
func (l *judgedLimits) ofRoutes(r *model.RateLimit) error {
	if l.gateway == nil || len(r.Routes) == 0 || len(r.Match) == 0 {
		return nil
	}
	for _, on := range l.gateway.Listeners {
		for _, h := range on.Hosts {
			some, err := l.onHost(r, on.Port, h)
			if l.allowance.Undecided(err); err != nil || some {
				return err
			}
		}
	}
	d := l.report(diag.LimitNotMet, r.Origin, "%s: rate limit %q counts nothing: no request of the routes of its `on` meets it", l.owner, r.Name)
	d.Help = "name the routes that take such requests"
	for i := range l.list {
		if &l.list[i] == r {
			d.Witness = l.witness(l.counted[i])
		}
	}
	return nil
}

// onHost says that a route of a limit takes a request on this host that counts.
func (l *judgedLimits) onHost(r *model.RateLimit, port uint16, h model.GatewayHost) (bool, error) {
	if !slices.ContainsFunc(h.Routes, func(route *model.GatewayRoute) bool { return slices.Contains(r.Routes, route.Rule()) }) {
		return false, nil
	}
	where := reach.All(l.letIn, reach.OfMatches(r.Match), reach.OfPorts([]uint16{port}), reach.OfHost(h.Host))
	preds := []reach.Pred{where}
	for _, route := range h.Routes {
		preds = append(preds, reach.OfMatches(route.Route.Match))
	}
	space, err := l.allowance.New(preds...)
	if err != nil {
		return false, err
	}
	left, err := space.Set(where)
	for _, route := range h.Routes {
		if err != nil || left.Empty() {
			return false, err
		}
		var takes, both reach.Set
		if takes, err = space.Set(reach.OfMatches(route.Route.Match)); err != nil {
			return false, err
		}
		if both, err = space.Intersection(left, takes); err != nil {
			return false, err
		}
		if !both.Empty() && slices.Contains(r.Routes, route.Rule()) {
			return true, nil
		}
		left, err = space.Minus(left, takes)
	}
	return false, err
}

// pairs finds what two limits have to do with one another.
func (l *judgedLimits) pairs() error {
	for i := range l.list {
		preceded := false
		for k := range i {
			if !onSameRoutes(&l.list[k], &l.list[i]) {
				continue
			}
			both, err := l.space.Intersection(l.counted[k], l.counted[i])
			if err != nil {
				return err
			}
			if both.Empty() {
				continue
			}
			if countTogether(&l.list[k], &l.list[i]) {
				d := l.report(diag.CountedTwice, l.list[i].Origin, "%s: rate limits %q and %q count the same request in the same place: it counts twice", l.owner, l.list[k].Name, l.list[i].Name)
				d.Witness = l.witness(both)
				d.Related = []diag.Related{{Range: l.list[k].Origin, Message: "the other limit"}}
			}
			if preceded || both != l.counted[i] || !stricter(&l.list[k], &l.list[i]) {
				continue
			}
			preceded = true
			d := l.report(diag.LimitPreceded, l.list[i].Origin, "%s: rate limit %q has nothing to refuse: limit %q comes first, counts all of its requests and lets no more of them through", l.owner, l.list[i].Name, l.list[k].Name)
			d.Help = "take it away, or make it the smaller one"
			d.Witness = l.witness(both)
			d.Related = []diag.Related{{Range: l.list[k].Origin, Message: "the limit that comes first"}}
		}
	}
	return nil
}

// onSameRoutes says that some request may come by both limits, as far as routes
// are concerned.
func onSameRoutes(a, b *model.RateLimit) bool {
	return len(a.Routes) == 0 || len(b.Routes) == 0 || slices.ContainsFunc(a.Routes, func(r string) bool { return slices.Contains(b.Routes, r) })
}

// countTogether says that two limits ask about the same descriptor, so that the
// rate limit service counts a request for each of them.
func countTogether(a, b *model.RateLimit) bool {
	return a.Server != nil && b.Server != nil && slices.Equal(a.Global, b.Global) && slices.Equal(a.By, b.By)
}

// stricter says that a, which comes before b and counts all that b counts, lets
// through no more than b would: its bucket is no larger, is not filled faster,
// and tells nothing apart. What it lets through in any time is then within b's.
func stricter(a, b *model.RateLimit) bool {
	return a.Local != nil && b.Local != nil && b.Enforced > 0 && a.Enforced == model.BasisPointsWhole && len(a.By) == 0 &&
		(len(a.Routes) == 0 || len(b.Routes) > 0 && !slices.ContainsFunc(b.Routes, func(r string) bool { return !slices.Contains(a.Routes, r) })) &&
		a.Local.Burst <= b.Local.Burst && !faster(a.Local, b.Local)
}

// faster says that a's bucket is filled faster than b's.
func faster(a, b *model.LocalLimit) bool {
	ahi, alo := bits.Mul64(uint64(a.Requests), uint64(b.Per))
	bhi, blo := bits.Mul64(uint64(b.Requests), uint64(a.Per))
	return ahi > bhi || ahi == bhi && alo > blo
}
