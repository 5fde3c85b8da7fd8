package diag

// Codes of the call graph, and of faults and limits in it: 4080 to 4099.
const (
	RetryAmplification Code = "MSH4080" // retries of several hops multiply
	RetryCycle         Code = "MSH4081" // a cycle of calls with retries
	TimeoutBudget      Code = "MSH4082" // callers give up before what they wait for
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
}
