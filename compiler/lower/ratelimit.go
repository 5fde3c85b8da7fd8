package lower

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/compiler/scope"
)

// rateLimits lowers the limits of one owner, by name.
func (l *lowering) rateLimits(owner model.Ref, list []*intent.RateLimit) []model.RateLimit {
	var out []model.RateLimit
	var allowance reach.Allowance
	for _, r := range list {
		one := model.RateLimit{
			Name:            r.Name.V,
			Routes:          sortedTexts(r.On),
			Match:           l.countedBy(r, &allowance),
			Local:           mapped(r.Local, localLimit),
			Status:          numberOr(r.Status, model.DefaultLimitStatus),
			Enforced:        percentOr(r.Enforced, model.BasisPointsWhole),
			ResponseHeaders: scope.Or(r.ResponseHeaders, false),
			Origin:          r.At,
		}
		for _, k := range r.By {
			one.By = append(one.By, limitKey(k))
		}
		if r.Global != nil {
			one.Server, one.Global = l.rateLimitService(), descriptor(owner, r)
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b model.RateLimit) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// adding says which matches of a list take a request that none before does, and
// gives a request that each takes. They are judged in one space, which
// bounds the work; what is not decided is taken to add something.
func adding(list []model.Match, allowance *reach.Allowance) (adds []bool, taken []*reach.Request) {
	adds, taken = make([]bool, len(list)), make([]*reach.Request, len(list))
	for i := range list {
		adds[i] = true
	}
	if len(list) < 2 {
		return adds, taken
	}
	space, err := allowance.New(reach.OfMatches(list))
	if err != nil {
		allowance.Undecided(err)
		return adds, taken
	}
	var before reach.Set
	for i, m := range list {
		takes, err := space.Set(reach.OfMatch(m))
		if err != nil {
			return adds, taken
		}
		left, err := space.Minus(takes, before)
		if err != nil {
			return adds, taken
		}
		adds[i], taken[i] = !left.Empty(), space.Witness(takes)
		if before, err = space.Union(before, takes); err != nil {
			return adds, taken
		}
	}
	return adds, taken
}

func localLimit(l *intent.LocalLimit) *model.LocalLimit {
	requests := uint32(l.Requests.V)
	return &model.LocalLimit{
		Requests: requests, Burst: numberOr(l.Burst, requests), Per: duration(l.Per), MaxKeys: numberOr(l.MaxKeys, model.DefaultMaxKeys),
	}
}

func descriptor(owner model.Ref, r *intent.RateLimit) []model.DescriptorEntry {
	if r.Global.Descriptor == nil {
		return []model.DescriptorEntry{{Key: "limit", Value: owner.String() + "/" + r.Name.V}}
	}
	var out []model.DescriptorEntry
	for _, e := range r.Global.Descriptor {
		out = append(out, model.DescriptorEntry{Key: e.Key.V, Value: e.Value.V})
	}
	return out
}

func limitKey(k *intent.LimitKey) model.LimitKey {
	switch {
	case k.Header != nil:
		return model.LimitKey{From: model.LimitHeader, Name: strings.ToLower(k.Header.V)}
	case k.Query != nil:
		return model.LimitKey{From: model.LimitQuery, Name: k.Query.V}
	case k.Caller != nil:
		return model.LimitKey{From: model.LimitCaller}
	case k.Path != nil:
		return model.LimitKey{From: model.LimitPath}
	}
	return model.LimitKey{From: model.LimitSourceIP}
}

// mostPieces bounds what one match is cut into on the way; what is left may be less.
const mostPieces = 16 * maxAlternatives

// countedBy makes the matches of a limit disjoint: a proxy counts a request once
// for each that takes it.
func (l *lowering) countedBy(r *intent.RateLimit, allowance *reach.Allowance) []model.Match {
	var out []model.Match
	before := matches(r.Match)
	adds, taken := adding(before, allowance)
	for i, m := range before {
		rest := []model.Match{m}
		for _, e := range before[:i] {
			var left []model.Match
			for _, one := range rest {
				left = append(left, apart(one, e)...)
			}
			if rest = left; len(rest) > mostPieces {
				break
			}
		}
		switch {
		case !adds[i] && taken[i] == nil:
			l.diags.Add(diag.New(diag.NeverMatches, m.Origin, "rate limit %q: no request meets all conditions of this match", r.Name.V))
		case len(rest) == 0 || !adds[i]:
			d := diag.New(diag.HiddenMatch, m.Origin, "rate limit %q: the matches before this one take every request that it could", r.Name.V)
			if taken[i] != nil {
				d.Witness = taken[i].String()
			}
			l.diags.Add(d)
		}
		if out = append(out, rest...); len(out) > maxAlternatives {
			d := diag.New(diag.TooManyAlternatives, m.Origin, "rate limit %q: its matches overlap, and apart they become more than %d", r.Name.V, maxAlternatives)
			d.Help = "write matches that share no request, or limits of their own"
			l.diags.Add(d)
			return out
		}
	}
	return out
}

// apart is m without what e takes, as disjoint matches.
func apart(m, e model.Match) []model.Match {
	if reach.Disjoint(m, e) {
		return []model.Match{m}
	}
	var out []model.Match
	within := m
	for _, c := range conditions(e) {
		if not, ok := reach.Meet(within, complement(c)[0]); ok {
			out = append(out, not)
		}
		var ok bool
		if within, ok = reach.Meet(within, c); !ok {
			break
		}
	}
	return out
}

// conditions gives the matches of one condition each that m is made of.
func conditions(m model.Match) []model.Match {
	var out []model.Match
	for _, p := range m.Paths {
		out = append(out, model.Match{Paths: []model.PathMatch{p}})
	}
	if len(m.Methods)+len(m.NotMethods) > 0 {
		out = append(out, model.Match{Methods: m.Methods, NotMethods: m.NotMethods})
	}
	for _, h := range m.Headers {
		out = append(out, model.Match{Headers: []model.NamedMatch{h}})
	}
	for _, q := range m.Query {
		out = append(out, model.Match{Query: []model.NamedMatch{q}})
	}
	return out
}

// rateLimitService is who counts for global limits.
func (l *lowering) rateLimitService() *model.RateLimitService {
	r := l.intent.Config.RateLimitService
	if r == nil {
		panic("lower: intent was not checked: a global limit, and nobody who counts")
	}
	s := l.scope.RateLimitServer(r)
	port := scope.RateLimitPort(s, r)
	if port == nil || len(s.Versions) != 1 {
		panic("lower: intent was not checked: mesh.rateLimitService is none")
	}
	return &model.RateLimitService{
		Service: scope.ServiceRef(s), Port: uint16(port.Number.V), Version: s.Versions[0].Name.V,
		Domain:   scope.Or(r.Domain, l.mesh.Name),
		Timeout:  durationOr(r.Timeout, model.DefaultRateLimitTimeout),
		FailOpen: r.FailOpen.V, Origin: r.At,
	}
}
