package message

import "strings"

const grpcType = "application/grpc"

// IsGRPC says that a message is of gRPC: its content-type is application/grpc, or
// that with a "+codec".
func IsGRPC(fields []Field) bool {
	v, ok := Get(fields, "content-type")
	if !ok || !strings.HasPrefix(v, grpcType) {
		return false
	}
	return len(v) == len(grpcType) || v[len(grpcType)] == '+'
}
