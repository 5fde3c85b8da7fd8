package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) telemetry() *intent.Telemetry {
	t, ok := c.field("telemetry")
	if !ok {
		return nil
	}
	return &intent.Telemetry{AccessLog: t.accessLog(), At: t.label()}
}

func (c cursor) accessLog() *intent.AccessLog {
	l, ok := c.field("accessLog")
	if !ok {
		return nil
	}
	return &intent.AccessLog{
		Off:    l.optionalTruth("off"),
		To:     l.optionalText("to"),
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
