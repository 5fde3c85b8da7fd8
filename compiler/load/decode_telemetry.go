package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) telemetry() *intent.Telemetry {
	t, ok := c.field("telemetry")
	if !ok {
		return nil
	}
	return &intent.Telemetry{AccessLog: t.accessLog(), Metrics: block(t, "metrics", cursor.metrics), Tracing: block(t, "tracing", cursor.tracing), At: t.label()}
}

func (c cursor) metrics() *intent.Metrics {
	return &intent.Metrics{Profile: c.optionalText("profile"), Drop: c.texts("drop"), At: c.label()}
}

func (c cursor) tracing() *intent.Tracing {
	return &intent.Tracing{
		Off:    c.optionalTruth("off"),
		OTLP:   block(c, "otlp", cursor.collector),
		Zipkin: block(c, "zipkin", cursor.zipkin),
		Sample: c.optionalDecimal("sample"),
		Tags:   each(c.entries("tags"), cursor.traceTag),
		At:     c.label(),
	}
}

func (c cursor) collector() *intent.Collector {
	return &intent.Collector{To: c.required("to").text(), Port: c.optionalText("port"), At: c.label()}
}

func (c cursor) zipkin() *intent.Collector {
	out := c.collector()
	out.Path, out.W3C = c.optionalText("path"), c.optionalTruth("w3c")
	return out
}

func (c cursor) traceTag() *intent.TraceTag {
	return &intent.TraceTag{
		Name:    c.name(),
		Literal: c.optionalText("literal"),
		Header:  c.optionalText("header"),
		Env:     c.optionalText("env"),
		Default: c.optionalText("default"),
		At:      c.label(),
	}
}

func (c cursor) accessLog() *intent.AccessLog {
	l, ok := c.field("accessLog")
	if !ok {
		return nil
	}
	return &intent.AccessLog{
		Off:    l.optionalTruth("off"),
		To:     l.optionalText("to"),
		OTLP:   block(l, "otlp", cursor.collector),
		Text:   l.optionalText("text"),
		Fields: l.pairs("fields"),
		Filter: l.logFilter(),
		At:     l.label(),
	}
}

func (c cursor) logFilter() *intent.LogFilter {
	f, ok := c.field("filter")
	if !ok {
		return nil
	}
	return &intent.LogFilter{
		MinStatus:   f.optionalNumber("minStatus"),
		MinDuration: f.optionalText("minDuration"),
		ErrorsOnly:  f.optionalTruth("errorsOnly"),
		Percent:     f.optionalDecimal("percent"),
		Headers:     each(f.entries("headers"), cursor.named),
		At:          f.label(),
	}
}
