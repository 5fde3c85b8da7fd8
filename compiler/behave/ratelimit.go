package behave

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// Limit is a rate limit that counts a request. What it is called is no part of it.
type Limit struct {
	Edge bool   `json:"edge,omitempty"` // the gateway keeps it, and not the service
	Does string `json:"does"`
	// When says for which requests as they arrive, where that is no condition on
	// the client's request.
	When string `json:"when,omitempty"`

	limit *model.RateLimit
}

// mostSplit bounds how many limits are told apart by the requests that they
// count; what they count is in words beyond.
const mostSplit = 4

// counting is a limit for some requests, as they are sent.
type counting struct {
	limit *model.RateLimit
	when  reach.Pred
}

// limited adds limits to what becomes of requests, which v sees.
func limited(rules []rule, limits []*model.RateLimit, edge bool, v view) []rule {
	var always []Limit
	var some []counting
	for _, l := range limits {
		one := Limit{Edge: edge, Does: l.String(), limit: l}
		when, words := v.counted(l)
		switch {
		case len(l.Match) == 0:
			always = append(always, one)
		case len(some) < mostSplit && words == "":
			some = append(some, counting{l, when})
		default:
			one.When = strings.Join(mapped(l.Match, model.Match.String), " or ")
			always = append(always, one)
		}
	}
	if len(always)+len(some) == 0 {
		return rules
	}
	var out []rule
	for _, r := range rules {
		if r.then.Verdict != Served && r.then.Verdict != Replied {
			out = append(out, r)
			continue
		}
		if len(always) > 0 {
			r.change(func(o *Outcome) { o.Limits = sortedLimits(o.Limits, always...) })
		}
		out = append(out, split(r, some, edge)...)
	}
	return out
}

// counted is which requests a limit counts; words are conditions that are none
// on the request as it was sent.
func (v view) counted(l *model.RateLimit) (when reach.Pred, words string) {
	var any []reach.Pred
	for i := range l.Match {
		one, hidden := v.arrives(&l.Match[i])
		if hidden != nil {
			return reach.Pred{}, hidden.String()
		}
		any = append(any, one)
	}
	return reach.Any(any...), ""
}

// split tells requests apart by the limits that count them.
func split(r rule, limits []counting, edge bool) []rule {
	if len(limits) == 0 {
		return []rule{r}
	}
	l := limits[0]
	counted := r
	counted.when = reach.All(r.when, l.when)
	counted.change(func(o *Outcome) {
		o.Limits = sortedLimits(o.Limits, Limit{Edge: edge, Does: l.limit.String(), limit: l.limit})
	})
	return append(split(counted, limits[1:], edge), split(r, limits[1:], edge)...)
}

func sortedLimits(list []Limit, more ...Limit) []Limit {
	out := slices.Concat(list, more)
	slices.SortStableFunc(out, func(a, b Limit) int {
		return strings.Compare(a.text(), b.text())
	})
	return out
}

func (l Limit) text() string {
	out := l.Does
	if l.Edge {
		out = "at the gateway " + out
	}
	if l.When != "" {
		out += ", for requests that arrive with " + l.When
	}
	return out
}

func limitsText(list []Limit) string {
	return strings.Join(mapped(list, Limit.text), "; ")
}

// limitsClass: a request that got through may be refused where a limit is new or
// lower, and that is to be seen as if somebody were not let in any more. Whatever
// else changes refuses nothing that was not refused before.
func limitsClass(o, other *Outcome) func(before, after string) Class {
	return func(before, _ string) Class {
		was, is := o.Limits, other.Limits
		if before != limitsText(was) {
			was, is = is, was
		}
		for _, l := range is {
			if l.limit.Enforced > 0 && !slices.ContainsFunc(was, func(w Limit) bool { return w.covers(l) }) {
				return Narrow
			}
		}
		return Tune
	}
}

// covers says that w refuses whatever l does.
func (w Limit) covers(l Limit) bool {
	a, b := w.limit, l.limit
	if w.Edge != l.Edge || w.When != l.When || a.Enforced < b.Enforced || !slices.Equal(a.By, b.By) || (a.Local == nil) != (b.Local == nil) {
		return false
	}
	if a.Local == nil {
		return slices.Equal(a.Global, b.Global) && a.Server.Service == b.Server.Service && a.Server.Domain == b.Server.Domain && (!a.Server.FailOpen || b.Server.FailOpen)
	}
	perSecond := func(x *model.LocalLimit) float64 { return float64(x.Requests) / x.Per.Seconds() }
	return perSecond(a.Local) <= perSecond(b.Local) && a.Local.Burst <= b.Local.Burst
}

// everywhere are the limits of a gateway that are for no route in particular.
func everywhere(list []model.RateLimit) []*model.RateLimit {
	return slices.DeleteFunc(ofRoute(list, ""), func(l *model.RateLimit) bool { return len(l.Routes) > 0 })
}

// ofRoute are the limits of a gateway that are for one of its routes.
func ofRoute(list []model.RateLimit, route string) []*model.RateLimit {
	var out []*model.RateLimit
	for i := range list {
		if len(list[i].Routes) == 0 || slices.Contains(list[i].Routes, route) {
			out = append(out, &list[i])
		}
	}
	return out
}
