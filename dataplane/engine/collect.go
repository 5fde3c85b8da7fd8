package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshc/meshc/dataplane/export"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// scope is what OTLP calls who made a record.
const scope = "meshc-proxy"

// prepareTraces opens the way to every collector of spans.
func (e *Engine) prepareTraces(p *prepared) error {
	p.traces = map[*snapshot.Chain]*traceTarget{}
	for name, l := range p.config.Listeners {
		for _, ch := range l.Chains {
			if ch.HTTP == nil || ch.HTTP.Tracing == nil {
				continue
			}
			sink, err := e.spanSink(ch.HTTP.Tracing)
			if err != nil {
				return fmt.Errorf("listener %q: tracing: %w", name, err)
			}
			self := e.opts.Self.Namespace + "/" + e.opts.Self.Service
			p.traces[ch] = &traceTarget{ch.HTTP.Tracing, telemetry.NewSpans(ch.HTTP.Tracing, e.opts.Node, self), sink}
		}
	}
	return nil
}

// spanSink is one for each collector and service.
func (e *Engine) spanSink(t *snapshot.Tracing) (*telemetry.Sink, error) {
	key := fmt.Sprintf("spans %v %q %+v", t.Zipkin, t.Service, t.Collector)
	if sink := e.sinks[key]; sink != nil {
		return sink, nil
	}
	prefix := "envoy_tracing_opentelemetry_"
	if t.Zipkin {
		prefix = "envoy_tracing_zipkin_"
	}
	stats := telemetry.SinkStats{Sent: e.reg.Counter(prefix + "spans_sent"), Dropped: e.reg.Counter(prefix + "spans_dropped"), Failed: e.reg.Counter(prefix + "reports_failed")}
	var w *export.Writer
	if t.Zipkin {
		w = export.Zipkin(e.dial, t.Collector)
	} else {
		var err error
		envelope := telemetry.NewEnvelope([]telemetry.Attribute{{Name: "service.name", Value: t.Service}}, scope)
		if w, err = export.OTLP(e.dial, t.Collector, export.Traces, envelope); err != nil {
			return nil, err
		}
	}
	e.sinks[key] = telemetry.NewSink(w, w.Abort, stats)
	return e.sinks[key], nil
}

// logSink is one for each collector of records and what it is told about who writes.
func (e *Engine) logSink(o *snapshot.OTLPLog) (*telemetry.Sink, error) {
	key := fmt.Sprintf("log %q %q %+v", o.Name, o.Resource, o.Collector)
	if sink := e.sinks[key]; sink != nil {
		return sink, nil
	}
	var resource []telemetry.Attribute
	if o.Name != "" {
		resource = append(resource, telemetry.Attribute{Name: "log_name", Value: o.Name})
	}
	for _, name := range slices.Sorted(maps.Keys(o.Resource)) {
		resource = append(resource, telemetry.Attribute{Name: name, Value: o.Resource[name]})
	}
	const prefix = "envoy_access_logs_open_telemetry_access_log_"
	stats := telemetry.SinkStats{Sent: e.reg.Counter(prefix + "logs_written"), Dropped: e.reg.Counter(prefix + "logs_dropped"), Failed: e.reg.Counter(prefix + "reports_failed")}
	w, err := export.OTLP(e.dial, o.Collector, export.Logs, telemetry.NewEnvelope(resource, scope))
	if err != nil {
		return nil, err
	}
	e.sinks[key] = telemetry.NewSink(w, w.Abort, stats)
	return e.sinks[key], nil
}
