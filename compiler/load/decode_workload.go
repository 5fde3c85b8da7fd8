package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) workload() *intent.Workload {
	return &intent.Workload{
		Inject:  c.optionalTruth("inject"),
		Capture: block(c, "capture", cursor.capture),
		Probes: block(c, "probes", func(p cursor) *intent.Probes {
			return &intent.Probes{Rewrite: p.optionalTruth("rewrite"), At: p.label()}
		}),
		Hold:  c.optionalTruth("hold"),
		Drain: c.optionalText("drain"),
		Proxy: block(c, "proxy", cursor.proxyContainer),
		At:    c.label(),
	}
}

func (c cursor) capture() *intent.Capture {
	out := &intent.Capture{UID: c.optionalNumber("uid"), At: c.label()}
	if in, ok := c.field("inbound"); ok {
		at := in.label()
		out.Inbound, out.ExcludeInbound = &at, each(in.elements("exclude"), cursor.number)
	}
	if o, ok := c.field("outbound"); ok {
		at := o.label()
		out.Outbound = &at
		out.IncludeOutbound, out.ExcludeOutbound = o.texts("include"), o.texts("exclude")
		out.ExcludeOutboundPorts = each(o.elements("excludePorts"), cursor.number)
	}
	return out
}

func (c cursor) proxyContainer() *intent.ProxyContainer {
	return &intent.ProxyContainer{
		Image:      c.optionalText("image"),
		AgentImage: c.optionalText("agentImage"),
		LogLevel:   c.optionalText("logLevel"),
		Resources:  block(c, "resources", cursor.resources),
		At:         c.label(),
	}
}

func (c cursor) resources() *intent.Resources {
	return &intent.Resources{
		Requests: block(c, "requests", cursor.quantities),
		Limits:   block(c, "limits", cursor.quantities),
		At:       c.label(),
	}
}

func (c cursor) quantities() *intent.Quantities {
	return &intent.Quantities{CPU: c.optionalText("cpu"), Memory: c.optionalText("memory"), At: c.label()}
}
