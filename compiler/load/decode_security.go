package load

import "github.com/meshc/meshc/compiler/intent"

// security reads what a service or a gateway says.
func (c cursor) security() *intent.Security {
	return block(c, "security", func(s cursor) *intent.Security {
		_, hasAllow := s.field("allow")
		return &intent.Security{
			MTLS:      s.optionalText("mtls"),
			Migration: block(s, "migration", cursor.migration),
			Ports: each(s.entries("ports"), func(p cursor) *intent.PortSecurity {
				return &intent.PortSecurity{Name: p.name(), MTLS: p.required("mtls").text(), At: p.label()}
			}),
			Allow:      each(s.elements("allow"), cursor.rule),
			HasAllow:   hasAllow,
			Deny:       each(s.elements("deny"), cursor.rule),
			Audit:      each(s.elements("audit"), cursor.rule),
			JWT:        each(s.entries("jwt"), cursor.jwt),
			Public:     each(s.elements("public"), cursor.public),
			Authorizer: block(s, "authorizer", cursor.authorizer),
			At:         s.label(),
		}
	})
}

func (c cursor) rule() *intent.Rule {
	r := &intent.Rule{
		From:          c.texts("from"),
		NotFrom:       c.texts("notFrom"),
		Namespaces:    c.texts("namespaces"),
		NotNamespaces: c.texts("notNamespaces"),
		IPs:           c.texts("ips"),
		NotIPs:        c.texts("notIPs"),
		ClientIPs:     c.texts("clientIPs"),
		NotClientIPs:  c.texts("notClientIPs"),
		Hosts:         c.texts("hosts"),
		NotHosts:      c.texts("notHosts"),
		Ports:         c.texts("ports"),
		NotPorts:      c.texts("notPorts"),
		Methods:       c.texts("methods"),
		NotMethods:    c.texts("notMethods"),
		Paths:         each(c.elements("paths"), cursor.path),
		NotPaths:      each(c.elements("notPaths"), cursor.path),
		Headers:       each(c.entries("headers"), cursor.named),
		Claims:        c.claims(),
		At:            c.label(),
	}
	if r.Ports == nil {
		r.Ports = c.texts("listeners")
	}
	if r.NotPorts == nil {
		r.NotPorts = c.texts("notListeners")
	}
	return r
}

func (c cursor) migration() *intent.Migration {
	return &intent.Migration{To: c.required("to").text(), Until: c.required("until").text(), At: c.label()}
}
