package gen

import "strings"

// routeFrom lets a part of the routes be for some callers.
func (m *mesh) routeFrom(f *source, s *service) {
	if len(s.callers) == 0 || !m.chance(15) {
		return
	}
	m.use("route.from")
	var names []string
	for _, c := range s.callers[:1+m.dice.IntN(len(s.callers))] {
		names = append(names, quote(c))
	}
	f.line("from: [%s]", strings.Join(names, ", "))
}
