package diag

// limits is MSH2065 to MSH2099: how many requests are let through.
var limits = []Entry{
	{StreamsUnused, Warning, "a limit on streams where there are none",
		"`concurrentStreams` limits the requests at once on one connection of HTTP/2, which grpc ports speak. On other ports a connection carries one request at a time.",
		"ports: http: {number: 80, protocol: \"http\"}\ntraffic: connections: concurrentStreams: 50", "ports: rpc: {number: 80, protocol: \"grpc\"}\ntraffic: connections: concurrentStreams: 50"},
	{HealthNotGRPC, Error, "a gRPC health check of a port that is not grpc",
		"A health check is made in the protocol of the port that is called, for each port of the service. Envoy refuses to ask by gRPC where requests are not HTTP/2.",
		"ports: http: {number: 80, protocol: \"http\"}\ntraffic: health: {grpc: {}, interval: \"5s\", timeout: \"1s\"}", "ports: rpc: {number: 80, protocol: \"grpc\"}\ntraffic: health: {grpc: {}, interval: \"5s\", timeout: \"1s\"}"},
}
