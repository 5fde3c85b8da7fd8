package reach

import (
	"slices"

	"github.com/meshc/meshc/compiler/model"
)

// Covers says that whatever request b accepts, a accepts too.
func Covers(a, b model.Match) bool {
	for _, p := range a.Paths {
		if !slices.ContainsFunc(b.Paths, func(q model.PathMatch) bool { return PathCovers(p, q) }) {
			return false
		}
	}
	return methodsOf(a).covers(methodsOf(b)) &&
		eachCovers(a.Headers, b.Headers, HeaderCovers) &&
		eachCovers(a.Query, b.Query, ValueCovers) && eachCovers(a.Cookies, b.Cookies, ValueCovers) &&
		eachCovers(a.Claims, b.Claims, HeaderCovers)
}

// Disjoint says that no request is accepted by both.
func Disjoint(a, b model.Match) bool {
	for _, p := range a.Paths {
		if slices.ContainsFunc(b.Paths, func(q model.PathMatch) bool { return PathsDisjoint(p, q) }) {
			return true
		}
	}
	return methodsOf(a).disjoint(methodsOf(b)) ||
		anyDisjoint(a.Headers, b.Headers, HeadersDisjoint) ||
		anyDisjoint(a.Query, b.Query, ValuesDisjoint) || anyDisjoint(a.Cookies, b.Cookies, ValuesDisjoint) ||
		anyDisjoint(a.Claims, b.Claims, HeadersDisjoint)
}

// Empty says that no request meets all conditions of m.
func Empty(m model.Match) bool {
	if _, ok := MeetPaths(m.Paths); !ok {
		return true
	}
	return anyDisjoint(m.Headers, m.Headers, HeadersDisjoint) ||
		anyDisjoint(m.Query, m.Query, ValuesDisjoint) || anyDisjoint(m.Cookies, m.Cookies, ValuesDisjoint) ||
		anyDisjoint(m.Claims, m.Claims, HeadersDisjoint)
}

// AllCovered says whether every request that the any-of list ms takes is surely
// taken by one of by; an empty list takes every request.
func AllCovered(ms, by []model.Match) bool {
	for _, m := range orEvery(ms) {
		if !slices.ContainsFunc(orEvery(by), func(b model.Match) bool { return Covers(b, m) }) {
			return false
		}
	}
	return true
}

// AllDisjoint says that no request is accepted by one of as and one of bs,
// where an empty list accepts every request.
func AllDisjoint(as, bs []model.Match) bool {
	for _, a := range orEvery(as) {
		for _, b := range orEvery(bs) {
			if !Disjoint(a, b) {
				return false
			}
		}
	}
	return true
}

func orEvery(ms []model.Match) []model.Match {
	if len(ms) == 0 {
		return []model.Match{{}}
	}
	return ms
}

// Meet is the conjunction of a and b, with conditions that the other implies
// left out; ok is false when no request meets both. Origin is a's.
func Meet(a, b model.Match) (met model.Match, ok bool) {
	if Disjoint(a, b) {
		return model.Match{}, false
	}
	paths, ok := MeetPaths(slices.Concat(a.Paths, b.Paths))
	if !ok {
		return model.Match{}, false
	}
	met = model.Match{
		Paths:   paths,
		Headers: meetNamed(a.Headers, b.Headers),
		Query:   meetNamed(a.Query, b.Query),
		Cookies: meetNamed(a.Cookies, b.Cookies),
		Claims:  meetNamed(a.Claims, b.Claims),
		Origin:  a.Origin,
	}
	if met.Origin.IsZero() {
		met.Origin = b.Origin
	}
	methodsOf(a).meet(methodsOf(b)).into(&met)
	return met, !Empty(met)
}

// meetNamed joins two conjunctions; two conditions on one name both stay
// unless they are the same.
func meetNamed(a, b []model.NamedMatch) []model.NamedMatch {
	met := slices.Concat(a, b)
	slices.SortStableFunc(met, CompareNamed)
	return slices.Compact(met)
}
