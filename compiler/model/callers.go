package model

import "slices"

// TakesFrom says that the route exists in the proxies of a caller.
func (r *Route) TakesFrom(ref Ref) bool {
	return len(r.From) == 0 || slices.ContainsFunc(r.From, func(c Caller) bool { return c.Ref == ref })
}

// SharesCallers says that some caller has both routes.
func (r *Route) SharesCallers(o *Route) bool {
	return len(r.From) == 0 || len(o.From) == 0 || slices.ContainsFunc(r.From, func(c Caller) bool { return o.TakesFrom(c.Ref) })
}

// CallerNames lists references, for people to read.
func CallerNames(callers []Caller) []string {
	var out []string
	for _, c := range callers {
		out = append(out, c.Ref.String())
	}
	return out
}
