package diag

// Codes of what proxies tell: 5000 to 5019.
const (
	BadLogFormat         Code = "MSH5001" // an operator that no proxy knows
	BadLogPlace          Code = "MSH5002" // neither a stream nor an absolute path
	TelemetryDoesNothing Code = "MSH5003" // a field that another makes useless
)

// telemetry is 5xxx: metrics, traces and logs.
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
}
