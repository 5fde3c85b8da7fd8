package engine

import (
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// gRPC is HTTP/2 with its own end: a call has a status of its own, in trailers or,
// when nothing but a status is said, in the head. A client of gRPC cannot make
// anything of an HTTP error, so the proxy's own answers are put in its terms, as
// Envoy does.

const grpcType = "application/grpc"

// Codes of gRPC that are spoken of here.
const (
	grpcUnknown          = 2
	grpcDeadlineExceeded = 4
	grpcPermissionDenied = 7
	grpcUnimplemented    = 12
	grpcInternal         = 13
	grpcUnavailable      = 14
	grpcUnauthenticated  = 16
)

// grpcStatus is gRPC's http-grpc-status-mapping.
func grpcStatus(status int) int {
	switch status {
	case 400:
		return grpcInternal
	case 401:
		return grpcUnauthenticated
	case 403:
		return grpcPermissionDenied
	case 404:
		return grpcUnimplemented
	case 429, 502, 503, 504:
		return grpcUnavailable
	}
	return grpcUnknown
}

// grpcHTTP is the status that a grpc-status stands for in HTTP, as far as servers
// are judged by it: google.rpc.Code, and 200 for what is none.
func grpcHTTP(status string) int {
	switch status {
	case "2", "13", "15": // unknown, internal, data loss
		return 500
	case "4":
		return 504
	case "12":
		return 501
	case "14":
		return 503
	}
	return 200
}

// grpcFields is an answer of our own in terms of gRPC: a head that is all.
func grpcFields(fields []message.Field, code int, text string) []message.Field {
	fields = append(fields,
		message.Field{Name: "content-type", Value: grpcType},
		message.Field{Name: "grpc-status", Value: strconv.Itoa(code)})
	if text != "" {
		fields = append(fields, message.Field{Name: "grpc-message", Value: percentEncode(text)})
	}
	return fields
}

// percentEncode is how grpc-message is written: printable ASCII but '%' stays.
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			const hex = "0123456789ABCDEF"
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// grpcTimeout reads grpc-timeout: up to eight digits and a unit.
func grpcTimeout(fields []message.Field) (time.Duration, bool) {
	v, ok := message.Get(fields, "grpc-timeout")
	if !ok || len(v) < 2 || len(v) > 9 {
		return 0, false
	}
	unit, ok := grpcUnits[v[len(v)-1]]
	n, err := strconv.ParseUint(v[:len(v)-1], 10, 32)
	if !ok || err != nil || v[0] == '+' {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

var grpcUnits = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// maxDuration is how long the whole stream may last, 0 for ever: what the client
// says in grpc-timeout, within the route's bound, where the route heeds it, else
// the route's max_stream_duration.
func maxDuration(d *route.Duration, fields []message.Field) time.Duration {
	if d == nil {
		return 0
	}
	said, ok := time.Duration(0), false
	if d.HeedGRPC {
		said, ok = grpcTimeout(fields)
	}
	if !ok {
		return d.Max
	}
	if d.GRPCMax > 0 && (said > d.GRPCMax || said == 0) {
		said = d.GRPCMax
	}
	if d.GRPCOffset < said {
		said -= d.GRPCOffset
	}
	return said
}

// grpcRetriable says whether the head of a response holds a status that the
// policy retries. One that comes in trailers comes too late.
func grpcRetriable(on route.RetryOn, fields []message.Field) bool {
	if on&route.RetryGRPC == 0 {
		return false
	}
	v, ok := message.Get(fields, "grpc-status")
	if !ok {
		return false
	}
	switch v {
	case "1":
		return on&route.RetryGRPCCancelled != 0
	case "4":
		return on&route.RetryGRPCDeadlineExceeded != 0
	case "8":
		return on&route.RetryGRPCResourceExhausted != 0
	case "13":
		return on&route.RetryGRPCInternal != 0
	case "14":
		return on&route.RetryGRPCUnavailable != 0
	}
	return false
}
