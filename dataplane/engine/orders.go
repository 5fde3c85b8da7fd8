package engine

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/dataplane/message"
)

// orders are the headers by which a client of Envoy may change what its route
// says. Envoy takes them out of whatever goes on; here they are not obeyed, and
// taken out as well, so that no proxy further on obeys them.
var orders = []string{
	"expected-rq-timeout-ms", "force-trace", "hedge-on-per-try-timeout", "ip-tags", "max-retries", "original-url", "retriable-header-names", "retriable-status-codes",
	"retry-grpc-on", "retry-on", "upstream-alt-stat-name", "upstream-rq-per-try-timeout-ms", "upstream-rq-timeout-alt-response", "upstream-rq-timeout-ms",
}

// dropOrders removes them. At the edge of a mesh dropInternal has removed more.
func dropOrders(fields []message.Field) []message.Field {
	for i := range fields {
		if isOrder(fields[i].Name) {
			return slices.DeleteFunc(fields, func(f message.Field) bool { return isOrder(f.Name) })
		}
	}
	return fields
}

func isOrder(name string) bool {
	what, ok := strings.CutPrefix(name, "x-envoy-")
	return ok && slices.Contains(orders, what)
}
