package reach

import (
	"slices"

	"github.com/meshc/meshc/compiler/model"
)

// methodSet is a set of methods: those listed, or with not all others. The empty
// list with not is every method.
type methodSet struct {
	list []string
	not  bool
}

func methodsOf(m model.Match) methodSet {
	if len(m.Methods) > 0 {
		return methodSet{list: m.Methods}
	}
	return methodSet{list: m.NotMethods, not: true}
}

// AcceptsMethod says whether m accepts a request's method.
func AcceptsMethod(m model.Match, method string) bool { return methodsOf(m).has(method) }

func (s methodSet) has(method string) bool { return slices.Contains(s.list, method) != s.not }

// covers says that s has every method of o. There are more methods than any
// list names.
func (s methodSet) covers(o methodSet) bool {
	switch {
	case o.not && !s.not:
		return false
	case o.not:
		return !slices.ContainsFunc(s.list, o.has)
	}
	return !slices.ContainsFunc(o.list, func(m string) bool { return !s.has(m) })
}

func (s methodSet) disjoint(o methodSet) bool {
	switch {
	case s.not && o.not:
		return false
	case s.not:
		return !slices.ContainsFunc(o.list, s.has)
	}
	return !slices.ContainsFunc(s.list, o.has)
}

// meet is the intersection; it is not empty, because disjoint was asked first.
func (s methodSet) meet(o methodSet) methodSet {
	switch {
	case s.not && o.not:
		all := slices.Concat(s.list, o.list)
		slices.Sort(all)
		return methodSet{list: slices.Compact(all), not: true}
	case s.not:
		return o.meet(s)
	}
	return methodSet{list: slices.DeleteFunc(slices.Clone(s.list), func(m string) bool { return !o.has(m) })}
}

// into writes the set into a match.
func (s methodSet) into(m *model.Match) {
	if s.not {
		m.Methods, m.NotMethods = nil, s.list
	} else {
		m.Methods, m.NotMethods = s.list, nil
	}
}
