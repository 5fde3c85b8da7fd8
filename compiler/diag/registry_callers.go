package diag

// callers is 2110 to 2116: routes that are for some callers.
var callers = []Entry{
	{RouteForNobody, Error, "a route for callers that do not call the service",
		"A route with `from` exists in the proxies of these callers only. The proxy of a service knows what its `uses` names, and that of a gateway what its routes lead to.",
		"{service: a: routes: beta: {from: [\"b\"], to: v2: 100}, service: b: {}}", "{service: a: routes: beta: {from: [\"b\"], to: v2: 100}, service: b: uses: a: {}}"},
}
