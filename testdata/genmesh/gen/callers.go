package gen

import "strings"

// routeFrom lets a part of the routes be for some callers.
func (m *mesh) routeFrom(f *source, s *service) {
	names := s.surely()
	if len(names) == 0 || !m.chance(15) {
		return
	}
	m.use("route.from")
	names = names[:1+m.dice.IntN(len(names))]
	f.line("from: [%s]", strings.Join(names, ", "))
}

// surely gives the callers of a service, quoted, but for the gateway, whose
// routes may lead elsewhere.
func (s *service) surely() []string {
	var names []string
	for _, c := range s.callers {
		if c != "shop/ingress" {
			names = append(names, quote(c))
		}
	}
	return names
}
