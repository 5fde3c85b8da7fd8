package target

// Table is the capability table. The order is that of the schema.
var Table = []Row{
	{"mesh", Nobody, All},
	{"mesh.trustDomain", Both, All},
	{"mesh.mtls", Both, All},
	{"mesh.traffic", Callers, Proxies},
	{"mesh.telemetry", Both, Proxies},
	{"namespace", Nobody, All},

	{"service.*", Nobody, All},
	{"service.*.ports", Both, All},
	{"service.*.ports.*.protocol=tcp", Both, Envoy},
	{"service.*.versions", Callers, All},
	{"service.*.versions.*.traffic", Callers, Proxies},
	{"service.*.uses", Own, All},
	{"service.*.routes", Callers, All},
	{"service.*.routes.*.match.[].cookies", Callers, Proxies}, // gRFC A28: path and headers only
	{"service.*.routes.*.match.[].host", Callers, Proxies},
	{"service.*.routes.*.match.[].scheme", Callers, Proxies},
	{"service.*.routes.*.match.[].path.not", Callers, Proxies},
	{"service.*.routes.*.match.[].query.*.not", Callers, Proxies},
	{"service.*.routes.*.except.[].path", Callers, Proxies}, // an exception negates
	{"service.*.routes.*.except.[].host", Callers, Proxies},
	{"service.*.routes.*.except.[].scheme", Callers, Proxies},
	{"service.*.routes.*.except.[].query", Callers, Proxies},
	{"service.*.routes.*.except.[].cookies", Callers, Proxies},
	{"service.*.routes.*.destinations", Callers, Proxies},
	{"service.*.routes.*.redirect", Callers, Proxies},
	{"service.*.routes.*.respond", Callers, Proxies},
	{"service.*.routes.*.rewrite", Callers, Proxies},
	{"service.*.routes.*.requestHeaders", Callers, Proxies}, // gRFC A28
	{"service.*.routes.*.responseHeaders", Callers, Proxies},
	{"service.*.routes.*.retries.perTry", Callers, Proxies}, // gRFC A44
	{"service.*.routes.*.retries.perTryIdle", Callers, Proxies},
	{"service.*.routes.*.retries.avoidTried", Callers, Proxies},
	{"service.*.routes.*.retries.rateLimited", Callers, Proxies},
	{"service.*.routes.*.idleTimeout", Callers, Proxies},
	{"service.*.routes.*.hash", Callers, Proxies},
	{"service.*.routes.*.sticky", Callers, Proxies},
	{"service.*.routes.*.mirror", Callers, Envoy},
	{"service.*.routes.*.upgrades", Both, Envoy},
	{"service.*.routes.*.cors", Callers, Envoy},
	{"service.*.faults", Callers, All}, // gRFC A33
	{"service.*.security", Both, All},
	{"service.*.security.allow", Own, Proxies},
	{"service.*.traffic", Callers, Proxies},
	{"service.*.security.deny", Own, Proxies},
	{"service.*.telemetry", Own, Proxies},

	{"gateway.*", Own, Proxies},
	{"gateway.*.timeouts", Own, Proxies},
	{"gateway.*.trustedHops", Own, Envoy},
	{"gateway.*.listeners.*.proxyProtocol", Own, Envoy},
	{"external.*", Callers, Proxies},
	{"external.*.ports.*.protocol=tcp", Callers, Envoy},
	{"external.*.tls.insecure", Callers, Envoy},
	{"external.*.traffic", Callers, Proxies},
}
