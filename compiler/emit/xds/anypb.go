package xds

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/emit/xds/valid"
)

// toAny packs m, which must be valid; map fields are written in key order, so
// that the bytes of equal messages are equal.
func toAny(m proto.Message) (*anypb.Any, error) {
	if err := valid.Message(m); err != nil {
		return nil, err
	}
	out := new(anypb.Any)
	err := anypb.MarshalFrom(out, m, proto.MarshalOptions{Deterministic: true})
	return out, err
}

func duration(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

func boolValue(b bool) *wrapperspb.BoolValue { return wrapperspb.Bool(b) }

func uint32Value(n uint32) *wrapperspb.UInt32Value { return wrapperspb.UInt32(n) }

// stringStruct is a Struct of strings.
func stringStruct(fields map[string]string) *structpb.Struct {
	out := &structpb.Struct{Fields: make(map[string]*structpb.Value, len(fields))}
	for k, v := range fields {
		out.Fields[k] = structpb.NewStringValue(v)
	}
	return out
}
