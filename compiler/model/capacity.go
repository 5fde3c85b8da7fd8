package model

import "slices"

// Holding lists what the proxy beside s does for or against what comes to a port,
// beside judging it, in the order of the schema.
func (s *Service) Holding(port uint16) []Setting {
	out := &settings{at: s.Origin}
	p := s.Port(port)
	if p == nil {
		return nil
	}
	out.at = p.Origin
	out.number("maxConnections", p.MaxConnections)
	if p.Protocol == HTTP {
		s.Compression.settings(out)
		s.Buffer.settings(out)
	}
	if !p.Protocol.Opaque() {
		s.Admission.settings(out)
	}
	return out.list
}

// Holding lists what g does for or against what comes to l and one of its routes,
// beside judging it, in the order of the schema; "" is what no route takes.
func (g *Gateway) Holding(l *GatewayListener, route string) []Setting {
	out := &settings{at: l.Origin}
	out.number("maxConnections", l.MaxConnections)
	if l.Protocol.Opaque() {
		return out.list
	}
	if c := g.Compression; c != nil && !slices.Contains(c.Except, route) {
		c.settings(out)
	}
	if b := g.Buffer; b != nil && !slices.Contains(b.Except, route) {
		b.settings(out)
	}
	return out.list
}
