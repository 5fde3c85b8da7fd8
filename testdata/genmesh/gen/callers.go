package gen

import "strings"

// routeFrom lets a part of the routes be for some callers.
func (m *mesh) routeFrom(f *source, s *service) {
	var names []string
	for _, c := range s.callers {
		if c != "shop/ingress" { // which may lead elsewhere
			names = append(names, quote(c))
		}
	}
	if len(names) == 0 || !m.chance(15) {
		return
	}
	m.use("route.from")
	names = names[:1+m.dice.IntN(len(names))]
	f.line("from: [%s]", strings.Join(names, ", "))
}
