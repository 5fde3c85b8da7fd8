package diag

// Codes of the call graph, and of faults and limits in it: 4080 to 4099.
const (
	RetryAmplification Code = "MSH4080" // retries of several hops multiply
	RetryCycle         Code = "MSH4081" // a cycle of calls with retries
	TimeoutBudget      Code = "MSH4082" // callers give up before what they wait for
	FaultBeforeRoute   Code = "MSH4083" // a fault that clocks and retries of its route do not see
	DelayNeverArrives  Code = "MSH4084" // a delay in which the exchange ends
	DelayOverCaller    Code = "MSH4085" // a delay for which a caller has no time
	FaultRadius        Code = "MSH4086" // a fault that takes half of what others depend on
	LimitNever         Code = "MSH4087" // a limit that nothing reaches
	RetriesNever       Code = "MSH4088" // retries for methods that the route does not take
	PerTryNotRetried   Code = "MSH4089" // a try that ends without another one
	RequestLimitNever  Code = "MSH4090" // a limit of requests above that of HTTP/1.1 connections

	NobodyCalls         Code = "MSH2140" // nobody acts on what is said
	HostUnused          Code = "MSH2141" // a listener's host without a route
	VersionUnused       Code = "MSH2142" // what is said of a version that gets no requests
	VersionsShareLabels Code = "MSH2143" // versions that select the same workloads
)

// callGraph is what calls do to each other along `uses` and gateway routes.
var callGraph = []Entry{
	{RetryAmplification, Warning, "retries that multiply along the calls",
		"When the last service of a path fails, each hop before it tries again, and every try of a caller is a new request to all that it calls. One request of a user then becomes as many as the tries of all hops multiplied, just when the service has least to spare. Counted are retries after failures in which work was done: connect-failure, refused-stream and reset-before-request cost nothing below. A retry budget of p percent counts as 100/(100-p). More than 32 is reported: three hops of three retries make 64.",
		"service: {\n\tweb: {uses: cart: {}, routes: all: {to: v1: 100, retries: {attempts: 5, on: [\"503\"]}}}\n\tcart: {uses: db: {}, routes: all: {to: v1: 100, retries: {attempts: 5, on: [\"503\"]}}}\n}",
		"service: {\n\tweb: {uses: cart: {}, routes: all: {to: v1: 100, retries: {attempts: 5, on: [\"503\"]}}}\n\tcart: {uses: db: {}, routes: all: {to: v1: 100, retries: {attempts: 1, on: [\"connect-failure\"]}}}\n}"},
	{RetryCycle, Warning, "retries in a cycle of calls",
		"A request that comes back to a service on its own way meets the retries there again, and every lap multiplies by them: nothing but timeouts bounds the number of requests. Services may call each other in a circle for different reasons; retries after failures in which work was done have no place there.",
		"service: {\n\ta: {uses: b: {}, routes: all: {to: v1: 100, retries: {attempts: 1, on: [\"503\"]}}}\n\tb: uses: a: {}\n}",
		"service: {\n\ta: {uses: b: {}, routes: all: to: v1: 100}\n\tb: uses: a: {}\n}"},
	{TimeoutBudget, Warning, "callers give up before what they wait for",
		"The timeout of a route ends its callers' wait. While the service is still busy with a call of its own that may take longer, nobody waits for the result any more: the caller sees 504, and the work goes on for nothing. Limits that are written count, of several routes the shortest, and injected delays do not; where a service on the way writes none, what it calls in turn does.",
		"service: {\n\tweb: {uses: cart: {}, routes: all: {to: v1: 100, timeout: \"1s\"}}\n\tcart: routes: all: {to: v1: 100, timeout: \"3s\"}\n}",
		"service: {\n\tweb: {uses: cart: {}, routes: all: {to: v1: 100, timeout: \"4s\"}}\n\tcart: routes: all: {to: v1: 100, timeout: \"3s\"}\n}"},
	{FaultBeforeRoute, Info, "a fault that its route does not see",
		"Faults are injected by the caller's proxy, before the route's timeout begins to count and before its retries: a delay makes no request of this route time out, and an injected answer is not tried again. Callers further up do see both.",
		"routes: all: {to: v1: 100, retries: {attempts: 2, on: [\"503\"]}}\nfaults: down: {on: \"all\", abort: {status: 503, percent: 10}, until: \"2099-01-01T00:00:00Z\"}",
		"routes: all: {to: v1: 100, retries: {attempts: 2, on: [\"connect-failure\"]}}\nfaults: down: {on: \"all\", abort: {status: 503, percent: 10}, until: \"2099-01-01T00:00:00Z\"}"},
	{DelayNeverArrives, Warning, "a delay in which the exchange ends",
		"`maxDuration` and `idleTimeout` count from the start of the request, also while a fault holds it. A delay that is not shorter ends every request that it concerns, before it is sent.",
		"routes: all: {to: v1: 100, maxDuration: \"5s\"}\nfaults: slow: {on: \"all\", delay: {fixed: \"7s\", percent: 10}, until: \"2099-01-01T00:00:00Z\"}",
		"routes: all: {to: v1: 100, maxDuration: \"10s\"}\nfaults: slow: {on: \"all\", delay: {fixed: \"7s\", percent: 10}, until: \"2099-01-01T00:00:00Z\"}"},
	{DelayOverCaller, Warning, "a delay for which a caller has no time",
		"A service that calls this one is given up on by its own callers before the delay is over. The fault then tests an error, and not slowness.",
		"service: {\n\tweb: {uses: cart: {}, routes: all: {to: v1: 100, timeout: \"3s\"}}\n\tcart: faults: slow: {on: \"all\", delay: {fixed: \"7s\", percent: 10}, until: \"2099-01-01T00:00:00Z\"}\n}",
		"service: {\n\tweb: {uses: cart: {}, routes: all: {to: v1: 100, timeout: \"3s\"}}\n\tcart: faults: slow: {on: \"all\", delay: {fixed: \"2s\", percent: 10}, until: \"2099-01-01T00:00:00Z\"}\n}"},
	{FaultRadius, Info, "a fault that takes half of what others depend on",
		"At least every second request of this route is delayed or answered by the fault, and the services and gateways that are named reach it by their calls. If that is meant, nothing is to be done.",
		"faults: down: {on: \"all\", abort: {status: 503, percent: 100}, until: \"2099-01-01T00:00:00Z\"}", "faults: down: {on: \"all\", abort: {status: 503, percent: 5}, until: \"2099-01-01T00:00:00Z\"}"},
	{LimitNever, Warning, "a limit that nothing reaches",
		"No route of the service tries anything again, so limits of retries have nothing to limit.",
		"{routes: all: {to: v1: 100, retries: {attempts: 0, on: []}}, traffic: retryBudget: percent: 20}", "{routes: all: {to: v1: 100, retries: {attempts: 1, on: [\"503\"]}}, traffic: retryBudget: percent: 20}"},
	{RequestLimitNever, Info, "a limit of requests above that of connections",
		"In HTTP/1.1 each request at once has its own connection, so fewer connections than `maxRequests` leave that limit without effect on this service. Of a block that several services share this is said once.",
		"connections: {max: 100, maxRequests: 200}", "connections: {max: 100, maxRequests: 50}"},
	{RetriesNever, Warning, "retries that no request gets",
		"Only requests with one of the `methods` of `retries` are tried again: by default DELETE, GET, HEAD, OPTIONS, PUT and TRACE, because others may act twice. This route takes requests with other methods only.",
		"{match: [{method: \"POST\"}], to: v1: 100, retries: {attempts: 2, on: [\"connect-failure\"]}}",
		"{match: [{method: \"POST\"}], to: v1: 100, retries: {attempts: 2, on: [\"connect-failure\"], methods: [\"POST\"]}}"},
	{PerTryNotRetried, Info, "a try that ends without another one",
		"A try that `perTry` ends is a reset, and has no status: only reset, 5xx and gateway-error try it again. Without them `perTry` is the timeout of the whole request.",
		"retries: {attempts: 2, on: [\"503\"], perTry: \"1s\"}", "retries: {attempts: 2, on: [\"503\", \"reset\"], perTry: \"1s\"}"},
	{NobodyCalls, Info, "nobody calls it",
		"Routes, faults and `traffic` are acted on by the proxies of callers. No service declares `uses` and no gateway has a route to it, so what is said has no effect. Of services this is said where a gateway leads into the mesh.",
		"service: {\n\tcart: routes: all: to: v1: 100\n\tweb: uses: db: {}\n\tdb: {}\n}", "service: {\n\tcart: routes: all: to: v1: 100\n\tweb: uses: cart: {}\n}"},
	{HostUnused, Warning, "a listener's host without a route",
		"Every route of the gateway on this listener is for other hosts, so requests for this one are answered with 404.",
		"listeners: http: {port: 80, protocol: \"http\", hosts: [\"a.example\", \"b.example\"]}\nroutes: a: {hosts: [\"a.example\"], to: \"web\"}",
		"listeners: http: {port: 80, protocol: \"http\", hosts: [\"a.example\"]}\nroutes: a: {hosts: [\"a.example\"], to: \"web\"}"},
	{VersionUnused, Warning, "something said of a version that gets no requests",
		"No route sends to this version, or only with weight 0, so no caller acts on its `traffic`; and where one route does not, nothing happens to the headers of its `destinations`.",
		"versions: {v1: {}, v2: traffic: connectTimeout: \"1s\"}\nroutes: all: to: v1: 100", "versions: {v1: {}, v2: traffic: connectTimeout: \"1s\"}\nroutes: all: to: {v1: 99, v2: 1}"},
	{VersionsShareLabels, Warning, "versions that select the same workloads",
		"A version is the workloads that have its labels. Where one version's labels are all among another's, workloads are of both: which of the two they serve cannot be told, and discovery takes them for neither.",
		"versions: {v1: labels: app: \"cart\", v2: labels: app: \"cart\"}", "versions: {v1: {}, v2: {}}"},
}
