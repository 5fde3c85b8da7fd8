package xds

import (
	"sync"
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

// toEmptyAny packs m, in which nothing is set: it is judged once for its type.
func toEmptyAny(m proto.Message) (*anypb.Any, error) {
	kind := m.ProtoReflect().Descriptor()
	if url, ok := empties.Load(kind); ok {
		return &anypb.Any{TypeUrl: url.(string)}, nil
	}
	out, err := toAny(m)
	if err == nil {
		empties.Store(kind, out.TypeUrl)
	}
	return out, err
}

var empties sync.Map // type of message → type URL of what is empty and valid

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
