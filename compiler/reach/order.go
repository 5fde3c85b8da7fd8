package reach

import (
	"cmp"

	"github.com/meshc/meshc/compiler/model"
)

// CompareNamed orders conditions by name, then kind, value and negation.
func CompareNamed(a, b model.NamedMatch) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value), compareBool(a.Not, b.Not), cmp.Compare(a.Yields, b.Yields))
}

// ComparePaths orders conditions by negation, then kind, value and case.
func ComparePaths(a, b model.PathMatch) int {
	return cmp.Or(compareBool(a.Not, b.Not), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value), compareBool(a.IgnoreCase, b.IgnoreCase))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
