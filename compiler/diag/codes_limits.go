package diag

// Codes of limits on requests, and of what only HTTP/2 can do.
const (
	StreamsUnused Code = "MSH2065" // concurrentStreams where nothing speaks HTTP/2
	HealthNotGRPC Code = "MSH2066" // a gRPC health check of a port that is not grpc

	BadRateLimit        Code = "MSH2067" // a limit that cannot be kept
	RateLimitUnused     Code = "MSH2068" // what a limit says without effect
	NoRateLimitService  Code = "MSH2069" // a global limit, and nobody who counts
	UnknownLimitRoute   Code = "MSH2070" // rateLimits.*.on names no route
	BadRateLimitService Code = "MSH2071" // mesh.rateLimitService is none
	LimitKeyMissing     Code = "MSH2072" // callers without the identity by which they are told apart
)
