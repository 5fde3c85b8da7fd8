package target

// Table is the capability table. The order is that of the schema.
var Table = []Row{
	{"mesh", Nobody, All},
	{"mesh.trustDomain", Both, All},
	{"mesh.mtls", Both, All},
	{"mesh.traffic", Callers, Envoy},
	{"namespace", Nobody, All},

	{"service.*", Nobody, All},
	{"service.*.ports", Both, All},
	{"service.*.versions", Callers, All},
	{"service.*.versions.*.traffic", Callers, Envoy},
	{"service.*.uses", Own, All},
	{"service.*.routes", Callers, All},
	{"service.*.routes.*.match.[].cookies", Callers, Proxies}, // gRFC A28: path and headers only
	{"service.*.routes.*.requestHeaders", Callers, Proxies},   // gRFC A28
	{"service.*.routes.*.responseHeaders", Callers, Proxies},
	{"service.*.routes.*.retries.perTry", Callers, Proxies}, // gRFC A44
	{"service.*.faults", Callers, All},                      // gRFC A33
	{"service.*.security", Both, All},
	{"service.*.security.allow", Own, Proxies},
	{"service.*.traffic", Callers, Envoy},

	{"gateway.*", Own, Proxies},
	{"external.*", Callers, Proxies},
	{"external.*.traffic", Callers, Envoy},
}
