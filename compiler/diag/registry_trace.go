package diag

// Codes of what is written and nobody acts on: 2161 to 2169.
const (
	RouteNotEntered Code = "MSH2161" // a route or fault, or match, to which no gateway leads a request
	DefaultUnused   Code = "MSH2162" // a default that everything overrides
)

// trace is 2161 to 2169.
var trace = []Entry{
	{RouteNotEntered, Info, "a route or fault to which no gateway leads a request",
		"The service is called by gateways only, and their routes to it take none of the requests that this route or fault, or this match of it, takes. It is in no proxy.",
		"gateway: edge: routes: shop: {match: [{path: prefix: \"/shop\"}], to: \"web\"}\nservice: web: routes: admin: {match: [{path: prefix: \"/admin\"}], to: v1: 100}",
		"gateway: edge: routes: all: to: \"web\"\nservice: web: routes: admin: {match: [{path: prefix: \"/admin\"}], to: v1: 100}"},
	{DefaultUnused, Info, "a default that everything overrides",
		"Everything that would take this value has its own, so it has no effect until something is added that has none.",
		"mesh: mtls: \"permissive\"\nservice: [string]: security: mtls: \"strict\"", "service: [string]: security: mtls: \"strict\""},
}
