package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) fault() *intent.Fault {
	f := &intent.Fault{
		Name:      c.name(),
		On:        c.required("on").text(),
		Match:     each(c.elements("match"), cursor.match),
		From:      c.texts("from"),
		Delay:     block(c, "delay", cursor.delay),
		Abort:     block(c, "abort", cursor.abort),
		Bandwidth: block(c, "bandwidth", cursor.bandwidth),
		MaxActive: c.optionalNumber("maxActive"),
		Until:     c.required("until").text(),
		At:        c.label(),
	}
	f.HasFrom = f.From != nil
	return f
}

func (c cursor) delay() *intent.Delay {
	return &intent.Delay{Fixed: c.required("fixed").text(), Percent: c.required("percent").decimal(), At: c.label()}
}

func (c cursor) abort() *intent.Abort {
	return &intent.Abort{
		Status: c.optionalNumber("status"), GRPCStatus: c.optionalText("grpcStatus"), Percent: c.required("percent").decimal(), At: c.label(),
	}
}

func (c cursor) bandwidth() *intent.Bandwidth {
	return &intent.Bandwidth{KiBPerSecond: c.required("kibPerSecond").number(), Percent: c.required("percent").decimal(), At: c.label()}
}
