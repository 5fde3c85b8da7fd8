package diag

// Codes of limits on requests, and of what only HTTP/2 can do.
const (
	StreamsUnused Code = "MSH2065" // concurrentStreams where nothing speaks HTTP/2
	HealthNotGRPC Code = "MSH2066" // a gRPC health check of a port that is not grpc
)
