package diag

// Codes of what proxies tell, and of whom faults are for: 5000 to 5019.
const (
	BadLogFormat         Code = "MSH5001" // an operator that no proxy knows
	BadLogPlace          Code = "MSH5002" // neither a stream nor an absolute path
	TelemetryDoesNothing Code = "MSH5003" // a field that another makes useless
	UnknownCollector     Code = "MSH5004" // telemetry goes to what does not exist
	BadCollector         Code = "MSH5005" // telemetry goes to what cannot take it
	BadTraceTag          Code = "MSH5006" // a tag of spans that says nothing
	FaultWithoutEffect   Code = "MSH5010" // a fault that no request meets
	FaultBounds          Code = "MSH5011" // two bounds of the faults of one route
	MetricNotCounted     Code = "MSH5012" // a metric is dropped that nobody counts, or all of them are
)

// telemetry is 5xxx: metrics, traces and logs, and whom faults are for.
var telemetry = []Entry{
	{BadLogFormat, Error, "not a format of an access log",
		"A format is text with Envoy's command operators between percent signs; a percent sign itself is written \"%%\". Operators that not every proxy knows are refused, because a proxy would refuse the whole listener.",
		"accessLog: text: \"%REQ(:METHOD)% %STATUS%\"", "accessLog: text: \"%REQ(:METHOD)% %RESPONSE_CODE%\""},
	{BadLogPlace, Error, "not a place for an access log",
		"Lines go to \"stdout\", \"stderr\" or the absolute path of a file.",
		"accessLog: to: \"logs/access.log\"", "accessLog: to: \"/var/log/access.log\""},
	{TelemetryDoesNothing, Error, "a telemetry field that has no effect",
		"Another field makes it useless: it would be accepted and do nothing.",
		"accessLog: {off: true, text: \"%DURATION%\"}", "accessLog: text: \"%DURATION%\""},
	{UnknownCollector, Error, "telemetry for nobody",
		"`to` names a service or an external of the mesh: \"name\" in the same namespace, or \"namespace/name\". What the whole mesh says is in namespace default.",
		"tracing: otlp: to: \"colector\"", "tracing: otlp: to: \"collector\""},
	{BadCollector, Error, "a collector that cannot take this telemetry",
		"OTLP is sent to a grpc port and Zipkin's spans to an http port, of an external or of a service with one version: nothing routes what a proxy itself sends. And a collector does not send telemetry about itself to itself, because each record would make another one.",
		"{tracing: zipkin: to: \"collector\", external: collector: {host: \"otel.example\", ports: otlp: {number: 4317, protocol: \"grpc\"}}}", "{tracing: otlp: to: \"collector\", external: collector: {host: \"otel.example\", ports: otlp: {number: 4317, protocol: \"grpc\"}}}"},
	{BadTraceTag, Error, "a tag of spans that says nothing",
		"A tag has a name, and the text, the header or the variable of the environment that it says. A proxy refuses the whole listener for one that has not.",
		"tags: stage: literal: \"\"", "tags: stage: literal: \"production\""},
	{MetricNotCounted, Error, "metrics are dropped that are not there, or all of them",
		"The minimal profile counts a list of metrics. Dropping another one has no effect, and dropping every one leaves a proxy of which nothing is known.",
		"metrics: {profile: \"minimal\", drop: [\"upstream_cx_length_ms\"]}", "metrics: {profile: \"minimal\", drop: [\"upstream_rq_retry\"]}"},
	{FaultWithoutEffect, Error, "a fault that no request meets",
		"Its `match` takes none of the requests of its route, its `from` names nobody who calls the service, or its `maxActive` bounds what holds nothing. It would be accepted and do nothing.",
		"faults: slow: {on: \"rest\", from: [], delay: {fixed: \"7s\", percent: 10}, until: \"2099-01-01T00:00:00Z\"}", "faults: slow: {on: \"rest\", delay: {fixed: \"7s\", percent: 10}, until: \"2099-01-01T00:00:00Z\"}"},
	{FaultBounds, Error, "two bounds of the faults of one route",
		"A proxy has one bound for all faults that a route injects, and a request may meet several of them. So all faults of a route write the same `maxActive`, or none does.",
		"faults: {a: {on: \"rest\", maxActive: 5, delay: {...}}, b: {on: \"rest\", bandwidth: {...}}}", "faults: {a: {on: \"rest\", maxActive: 5, delay: {...}}, b: {on: \"rest\", maxActive: 5, bandwidth: {...}}}"},
}
