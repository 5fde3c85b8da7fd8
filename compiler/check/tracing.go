package check

import (
	"errors"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

func (c *overIntent) tracing(t *intent.Tracing, owner model.Ref) {
	if t.Off != nil && t.Off.V {
		if t.OTLP != nil || t.Zipkin != nil || t.Sample != nil || t.Tags != nil {
			c.report(diag.TelemetryDoesNothing, t.Off.At, "tracing is off, so the rest of `tracing` does nothing").Help = "leave one of them out"
		} else if owner.Name == "" {
			c.report(diag.TelemetryDoesNothing, t.Off.At, "nothing is traced unless somebody says so").Help = "leave `tracing` out"
		}
		return
	}
	if (t.OTLP == nil) == (t.Zipkin == nil) {
		c.report(diag.NotExactlyOne, t.At, "spans go to exactly one of `otlp` and `zipkin`")
		return
	}
	if t.OTLP != nil {
		c.collector(t.OTLP, owner, model.GRPC)
	}
	if z := t.Zipkin; z != nil {
		c.collector(z, owner, model.HTTP)
		if z.Path != nil && (!strings.HasPrefix(z.Path.V, "/") || strings.ContainsFunc(z.Path.V, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' })) {
			c.report(diag.BadPath, z.Path.At, "%q is no path of a collector", literal.Clip(z.Path.V)).Help = `write "/api/v2/spans", for example`
		}
	}
	if t.Sample != nil {
		if _, err := literal.Percent(t.Sample.V); err != nil {
			c.report(diag.BadPercent, t.Sample.At, "percentage %s %s", t.Sample.V, err).Help = "a share of traces is 0 to 100, with at most two decimals"
		}
	}
	if t.Tags != nil && len(t.Tags) == 0 {
		c.report(diag.TelemetryDoesNothing, t.At, "`tags` is empty").Help = "leave it out"
	}
	for _, tag := range t.Tags {
		c.traceTag(tag)
	}
}

// traceTag: Envoy refuses tags without a name, a text or the name of a header.
func (c *overIntent) traceTag(t *intent.TraceTag) {
	sources := 0
	for _, from := range []*intent.Value[string]{t.Literal, t.Header, t.Env} {
		if from != nil {
			sources++
		}
	}
	var err error
	switch {
	case sources != 1:
		c.report(diag.NotExactlyOne, t.At, "tag %q is exactly one of `literal`, `header` and `env`", t.Name.V)
		return
	case t.Name.V == "":
		err = errors.New("it has no name")
	case t.Literal != nil && t.Literal.V == "":
		err = errors.New("its text is empty")
	case t.Header != nil && unusableHeader(strings.ToLower(t.Header.V)) != "":
		err = errors.New(unusableHeader(strings.ToLower(t.Header.V)))
	case t.Env != nil && (t.Env.V == "" || strings.ContainsAny(t.Env.V, "=\x00")):
		err = errors.New("that is no name of a variable")
	case t.Default != nil && t.Default.V == "":
		err = errors.New("its default is empty, and without one the tag is left out anyway")
	}
	if err != nil {
		c.report(diag.BadTraceTag, t.At, "tag %q: %s", t.Name.V, err)
		return
	}
	if t.Literal != nil && t.Default != nil {
		c.report(diag.TelemetryDoesNothing, t.Default.At, "tag %q always says `literal`, so `default` does nothing", t.Name.V).Help = "leave it out"
	}
}
