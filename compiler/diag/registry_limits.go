package diag

// limits is MSH2065 to MSH2099: how many requests are let through.
var limits = []Entry{
	{StreamsUnused, Warning, "a limit on streams where there are none",
		"`concurrentStreams` limits the requests at once on one connection of HTTP/2, which grpc ports speak. On other ports a connection carries one request at a time.",
		"ports: http: {number: 80, protocol: \"http\"}\ntraffic: connections: concurrentStreams: 50", "ports: rpc: {number: 80, protocol: \"grpc\"}\ntraffic: connections: concurrentStreams: 50"},
	{HealthNotGRPC, Error, "a gRPC health check of a port that is not grpc",
		"A health check is made in the protocol of the port that is called, for each port of the service. Envoy refuses to ask by gRPC where requests are not HTTP/2.",
		"ports: http: {number: 80, protocol: \"http\"}\ntraffic: health: {grpc: {}, interval: \"5s\", timeout: \"1s\"}", "ports: rpc: {number: 80, protocol: \"grpc\"}\ntraffic: health: {grpc: {}, interval: \"5s\", timeout: \"1s\"}"},
	{BadRateLimit, Error, "a limit that cannot be kept",
		"Proxies fill buckets in 50 ms at the least. Requests are told apart by at most four different things, and entries of a descriptor have a key and a value. The status is one that Envoy knows: 418 and 451 are none.",
		"rateLimits: all: local: {requests: 1, per: \"10ms\"}", "rateLimits: all: local: {requests: 100, per: \"1s\"}"},
	{RateLimitUnused, Warning, "a field of a limit that does nothing",
		"A limit counts requests of http and grpc ports. `status` is for http, since calls of gRPC are refused with RESOURCE_EXHAUSTED, `maxKeys` is for limits with `by`, and mesh.rateLimitService for limits that are `global`.",
		"rateLimits: all: local: {requests: 100, per: \"1s\", maxKeys: 50}", "rateLimits: all: {local: {requests: 100, per: \"1s\", maxKeys: 50}, by: [{caller: true}]}"},
	{NoRateLimitService, Error, "a global limit, and nobody who counts",
		"Limits that are `global` are counted by the service that mesh.rateLimitService names. Without one they would let everything through.",
		"rateLimits: all: global: {}", "mesh: rateLimitService: {service: \"limiter\", failOpen: true}\nservice: a: rateLimits: all: global: {}"},
	{UnknownLimitRoute, Error, "a limit on a route that does not exist",
		"`on` takes names of routes of the same gateway.",
		"routes: home: to: \"web\"\nrateLimits: all: {on: [\"hom\"], local: {requests: 10, per: \"1s\"}}", "routes: home: to: \"web\"\nrateLimits: all: {on: [\"home\"], local: {requests: 10, per: \"1s\"}}"},
	{BadRateLimitService, Error, "a rate limit service that is none",
		"It is a service of the mesh with one version, asked at a grpc port, and has no global limits of its own: it would ask itself. In the root, a name without namespace is in \"default\".",
		"mesh: rateLimitService: {service: \"web\", failOpen: true}\nservice: web: ports: http: {number: 80, protocol: \"http\"}", "mesh: rateLimitService: {service: \"limiter\", failOpen: true}\nservice: limiter: ports: rpc: {number: 8081, protocol: \"grpc\"}"},
	{LimitKeyMissing, Warning, "callers that a limit cannot tell apart",
		"The identity of a caller comes from mutual TLS. Callers in plaintext have none: all of them share one limit.",
		"security: mtls: \"permissive\"\nrateLimits: each: {local: {requests: 10, per: \"1s\"}, by: [{caller: true}]}", "security: mtls: \"strict\"\nrateLimits: each: {local: {requests: 10, per: \"1s\"}, by: [{caller: true}]}"},
}
