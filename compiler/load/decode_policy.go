package load

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// policy reads one guardrail.
func (c cursor) policy() *intent.Policy {
	return &intent.Policy{
		Name:       c.name(),
		Severity:   c.optionalText("severity"),
		Owned:      block(c, "owned", cursor.written),
		Egress:     block(c, "egress", cursor.egressPolicy),
		Retries:    block(c, "retries", cursor.retriesPolicy),
		Faults:     block(c, "faults", cursor.windowsPolicy),
		Canary:     block(c, "canary", cursor.canaryPolicy),
		MTLS:       block(c, "mtls", cursor.written),
		Access:     block(c, "access", cursor.written),
		Freeze:     block(c, "freeze", cursor.windowsPolicy),
		Exemptions: each(c.entries("exemptions"), cursor.exemption),
		At:         c.label(),
	}
}

// written is the place of what says enough by being there.
func (c cursor) written() *diag.Range {
	at := c.label()
	return &at
}

func (c cursor) egressPolicy() *intent.EgressPolicy {
	return &intent.EgressPolicy{Hosts: c.required("hosts").textList(), Networks: c.texts("networks")}
}

func (c cursor) retriesPolicy() *intent.Value[int] {
	most := c.required("max").number()
	return &most
}

func (c cursor) canaryPolicy() *intent.Value[string] {
	step := c.required("maxStep").decimal()
	return &step
}

func (c cursor) windowsPolicy() *intent.WindowsPolicy {
	return &intent.WindowsPolicy{Windows: each(c.entries("windows"), cursor.window), At: c.label()}
}

func (c cursor) window() *intent.Window {
	return &intent.Window{Name: c.name(), From: c.required("from").text(), Until: c.required("until").text(), At: c.label()}
}

func (c cursor) exemption() *intent.Exemption {
	return &intent.Exemption{
		Name:     c.name(),
		Service:  c.optionalText("service"),
		Gateway:  c.optionalText("gateway"),
		External: c.optionalText("external"),
		Route:    c.optionalText("route"),
		Reason:   c.required("reason").text(),
		Owner:    c.required("owner").text(),
		Until:    c.required("until").text(),
		At:       c.label(),
	}
}
