package route

import (
	"strings"

	"github.com/meshc/meshc/dataplane/message"
)

// joined are the request fields of which Envoy 1.40 keeps one value: a second
// field line is appended to it behind a comma as it arrives, so that matchers
// never see the values apart. For every other field they look at each value by
// itself. Measured on Envoy 1.40 (TestRoutesAsEnvoyDoes).
var joined = map[string]bool{
	"accept": true, "accept-encoding": true, "access-control-request-headers": true, "access-control-request-method": true,
	"access-control-request-private-network": true, "authorization": true, "cache-control": true, "cdn-loop": true,
	"content-encoding": true, "content-type": true, "expect": true, "grpc-accept-encoding": true, "grpc-timeout": true,
	"if-match": true, "if-modified-since": true, "if-none-match": true, "if-range": true, "if-unmodified-since": true,
	"origin": true, "pragma": true, "proxy-status": true, "referer": true, "user-agent": true, "via": true,
	"x-client-trace-id": true, "x-envoy-attempt-count": true, "x-envoy-decorator-operation": true,
	"x-envoy-downstream-service-cluster": true, "x-envoy-downstream-service-node": true, "x-envoy-external-address": true,
	"x-envoy-original-host": true, "x-envoy-original-path": true, "x-forwarded-for": true, "x-forwarded-host": true,
	"x-forwarded-port": true, "x-forwarded-proto": true, "x-request-id": true,
}

// Joined says whether several values of a field, named in lower case, are
// matched as one, with commas between them.
func Joined(name string) bool { return joined[name] }

// judgeJoined judges the values of a field as one.
func judgeJoined(req *message.Request, name string, judge func(string) bool) (found, holds bool) {
	value, more := "", []string(nil)
	for i := range req.Fields {
		switch {
		case req.Fields[i].Name != name:
		case !found:
			found, value = true, req.Fields[i].Value
		default:
			more = append(more, req.Fields[i].Value)
		}
	}
	if len(more) > 0 {
		value += "," + strings.Join(more, ",")
	}
	return found, found && judge(value)
}
