package diag

// matching is MSH2050 to MSH2099: what a route takes, and what it does with it.
var matching = []Entry{
	{ExceptWithoutEffect, Warning, "an exception that excepts nothing",
		"`except` takes requests out of what `match` takes. This exception has none of them in common, so it does nothing.",
		"match: [{path: prefix: \"/a\"}], except: [{path: prefix: \"/b\"}]", "match: [{path: prefix: \"/a\"}], except: [{path: prefix: \"/a/b\"}]"},
	{ExceptEverything, Error, "exceptions that leave nothing",
		"Every request that `match` takes is excepted, so the route has no effect.",
		"match: [{path: prefix: \"/a/b\"}], except: [{path: prefix: \"/a\"}]", "match: [{path: prefix: \"/a\"}], except: [{path: prefix: \"/a/b\"}]"},
	{TooManyAlternatives, Error, "a match that becomes too many routes",
		"A proxy knows conditions of which all must hold, and tries routes in order. A negated header and each condition of an exception become routes of their own, and they multiply: 64 are the most for one route.",
		"headers: {a: {exact: \"1\", not: true}, ... seven of them}", "except: [{path: prefix: \"/internal\"}]"},
	{GRPCMatchElsewhere, Error, "a gRPC condition on a port that is not grpc",
		"`grpc` says the path of an RPC. On a port of another protocol it would be a condition on a path that nobody sends.",
		"ports: web: {number: 80, protocol: \"http\"}\nroutes: add: match: [{grpc: service: \"shop.Cart\"}]",
		"ports: rpc: {number: 81, protocol: \"grpc\"}\nroutes: add: match: [{grpc: service: \"shop.Cart\"}]"},
}
