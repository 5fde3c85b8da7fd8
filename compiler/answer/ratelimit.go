package answer

import (
	"slices"

	"github.com/meshc/meshc/compiler/model"
)

// limited adds the limits that count a request as it comes to the proxy that
// keeps them: of a gateway, those for the route of this name.
func (a *asking) limited(list []model.RateLimit, route string, came *Request) {
	if a.out.Route == nil {
		return
	}
	for i := range list {
		l := &list[i]
		if Counts(l, came) && (len(l.Routes) == 0 || slices.Contains(l.Routes, route)) {
			a.out.Route.More = append(a.out.Route.More, Setting{Name: "rate limit", Value: l.Name + ": " + l.String(), At: place(l.Origin)})
		}
	}
}

// Counts says that a limit counts a request as it comes to the proxy that keeps it.
func Counts(l *model.RateLimit, came *Request) bool {
	return len(l.Match) == 0 || slices.ContainsFunc(l.Match, func(m model.Match) bool { return Accepts(&m, came) })
}
