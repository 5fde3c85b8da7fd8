package diag

// Codes of routes that are for some callers: 2110 to 2116.
const (
	RouteForNobody Code = "MSH2110" // a route for callers that do not call
)
