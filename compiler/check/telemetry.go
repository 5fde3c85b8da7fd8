package check

import (
	"errors"
	"path"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (c *overIntent) telemetry() {
	c.telemetryOf(c.mesh.Config.Telemetry, model.Ref{Namespace: scope.DefaultNamespace})
	for _, s := range c.mesh.Services {
		c.telemetryOf(s.Telemetry, scope.ServiceRef(s))
	}
	for _, g := range c.mesh.Gateways {
		c.telemetryOf(g.Telemetry, scope.GatewayRef(g))
	}
	c.collected()
}

// telemetryOf judges what owner says, which has no name for the whole mesh.
func (c *overIntent) telemetryOf(t *intent.Telemetry, owner model.Ref) {
	if t == nil {
		return
	}
	if t.AccessLog == nil && t.Tracing == nil && t.Metrics == nil {
		c.report(diag.TelemetryDoesNothing, t.At, "`telemetry` says nothing").Help = "leave it out"
		return
	}
	if t.AccessLog != nil {
		c.accessLog(t.AccessLog, owner)
	}
	if t.Tracing != nil {
		c.tracing(t.Tracing, owner)
	}
	if t.Metrics != nil {
		c.metrics(t.Metrics)
	}
}

func (c *overIntent) accessLog(a *intent.AccessLog, owner model.Ref) {
	if a.Off != nil && a.Off.V {
		c.logIsOff(a)
		return
	}
	if a.OTLP != nil {
		c.collector(a.OTLP, owner, model.GRPC)
		if a.To != nil {
			c.report(diag.NotExactlyOne, a.To.At, "an access log goes `to` a place or by `otlp`, not both").Help = "leave one of them out"
		}
	}
	c.logPlace(a.To)
	c.logFormat(a)
	c.logFilter(a.Filter)
}

// logIsOff refuses what would have no effect.
func (c *overIntent) logIsOff(a *intent.AccessLog) {
	for _, other := range []struct {
		name    string
		written bool
	}{{"to", a.To != nil}, {"otlp", a.OTLP != nil}, {"text", a.Text != nil}, {"fields", a.Fields != nil}, {"filter", a.Filter != nil}} {
		if other.written {
			c.report(diag.TelemetryDoesNothing, a.Off.At, "the access log is off, so `%s` does nothing", other.name).Help = "leave one of them out"
			return
		}
	}
}

func (c *overIntent) logPlace(to *intent.Value[string]) {
	if to == nil || to.V == "stdout" || to.V == "stderr" {
		return
	}
	if !path.IsAbs(to.V) || path.Clean(to.V) != to.V || strings.ContainsFunc(to.V, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		c.report(diag.BadLogPlace, to.At, "%q is not a place for an access log", literal.Clip(to.V)).Help = `write "stdout", "stderr" or the absolute path of a file`
	}
}

func (c *overIntent) logFormat(a *intent.AccessLog) {
	if a.Text != nil && a.Fields != nil {
		c.report(diag.TelemetryDoesNothing, a.Text.At, "an access log is written as `text` or as `fields`, not both").Help = "leave one of them out"
		return
	}
	if a.Text != nil {
		c.logTemplate(*a.Text)
	}
	if a.Fields != nil && len(a.Fields) == 0 {
		c.report(diag.TelemetryDoesNothing, a.At, "`fields` is empty, so every line would be {}").Help = "leave it out for the default fields"
	}
	for _, kv := range a.Fields {
		c.logTemplate(kv.Value)
	}
}

func (c *overIntent) logTemplate(text intent.Value[string]) {
	err := literal.LogFormat(text.V)
	if err == nil && text.V == "" {
		err = errors.New("the format is empty")
	}
	if err == nil {
		return
	}
	d := c.report(diag.BadLogFormat, text.At, "%s", err)
	if bad := (*literal.LogFormatError)(nil); errors.As(err, &bad) && bad.Name != "" {
		d.Help = meant(bad.Name, literal.LogOperators())
	}
}

func (c *overIntent) logFilter(f *intent.LogFilter) {
	if f == nil {
		return
	}
	if d, ok := c.duration(f.MinDuration, 0); ok && f.MinDuration != nil && d == 0 {
		c.report(diag.TelemetryDoesNothing, f.MinDuration.At, "every request takes at least 0s").Help = "leave `minDuration` out"
	}
	if f.Percent != nil {
		c.logShare(*f.Percent)
	}
	if f.ErrorsOnly != nil && f.ErrorsOnly.V && f.MinStatus != nil && f.MinStatus.V <= 500 {
		c.report(diag.TelemetryDoesNothing, f.MinStatus.At, "`errorsOnly` asks for more than a status of at least %d", f.MinStatus.V).Help = "leave one of them out"
	}
	c.headerConditions(f.Headers)
}

func (c *overIntent) logShare(p intent.Value[string]) {
	bp, err := literal.Percent(p.V)
	if err == nil && bp == 0 {
		err = errors.New("is 0, so that nothing would be logged")
	}
	if err != nil {
		c.report(diag.BadPercent, p.At, "percentage %s %s", p.V, err).Help = "a share is above 0 and up to 100, with at most two decimals"
	}
}
