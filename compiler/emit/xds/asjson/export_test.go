package asjson

import "google.golang.org/protobuf/proto"

// Plain says that a message is written from its bytes alone.
func Plain(m proto.Message) bool {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return err == nil && PlainBytes(m, raw)
}

// PlainBytes says so of bytes in the place of those of m.
func PlainBytes(m proto.Message, raw []byte) bool {
	plain, err := newWriter().plainly(planOf(m.ProtoReflect().Descriptor()), raw, 0, "")
	return plain && err == nil
}
