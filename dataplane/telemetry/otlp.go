package telemetry

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// What OTLP sends is made here byte by byte: a record costs no more than the copy
// of what it says. The numbers are those of opentelemetry-proto v1.

// Attribute is a name and a text.
type Attribute struct{ Name, Value string }

// Envelope makes requests to a collector of records that were encoded before: one
// resource, one scope.
type Envelope struct{ resource, scope []byte }

// NewEnvelope is for records of this resource; the scope is what made them.
func NewEnvelope(resource []Attribute, scope string) *Envelope {
	var attributes []byte
	for _, a := range resource {
		attributes = appendAttribute(attributes, 1, a.Name, a.Value)
	}
	return &Envelope{
		resource: appendMessage(nil, 1, attributes),
		scope:    appendMessage(nil, 1, appendText(nil, 1, scope)),
	}
}

// Append makes one request of records, each of which is the second field of its scope.
func (e *Envelope) Append(dst, records []byte) []byte {
	scoped := len(e.scope) + len(records)
	inner := len(e.resource) + protowire.SizeTag(2) + protowire.SizeBytes(scoped)
	dst = slices.Grow(dst, protowire.SizeTag(1)+protowire.SizeBytes(inner))
	dst = protowire.AppendTag(dst, 1, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(inner))
	dst = append(dst, e.resource...)
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(scoped))
	return append(append(dst, e.scope...), records...)
}

// Rejected reads how many records a collector did not take from its answer: its
// partial_success says.
func Rejected(answer []byte) int64 {
	partial, ok := fieldOf(answer, 1)
	if !ok {
		return 0
	}
	for len(partial) > 0 {
		n, t, size := protowire.ConsumeTag(partial)
		if size < 0 {
			return 0
		}
		partial = partial[size:]
		if n == 1 && t == protowire.VarintType {
			v, size := protowire.ConsumeVarint(partial)
			if size < 0 {
				return 0
			}
			return max(int64(v), 0)
		}
		if size = protowire.ConsumeFieldValue(n, t, partial); size < 0 {
			return 0
		}
		partial = partial[size:]
	}
	return 0
}

func fieldOf(m []byte, want protowire.Number) ([]byte, bool) {
	for len(m) > 0 {
		n, t, size := protowire.ConsumeTag(m)
		if size < 0 {
			return nil, false
		}
		m = m[size:]
		if n == want && t == protowire.BytesType {
			v, size := protowire.ConsumeBytes(m)
			return v, size >= 0
		}
		if size = protowire.ConsumeFieldValue(n, t, m); size < 0 {
			return nil, false
		}
		m = m[size:]
	}
	return nil, false
}

func appendMessage(dst []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), m)
}

func appendText(dst []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), s)
}

func appendFixed(dst []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(dst, field, protowire.Fixed64Type), v)
}

func appendNumber(dst []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), v)
}

// appendAttribute writes a KeyValue whose value is a text, in parts.
func appendAttribute(dst []byte, field protowire.Number, name string, parts ...string) []byte {
	text := 0
	for _, p := range parts {
		text += len(p)
	}
	value := 1 + protowire.SizeBytes(text)
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(1+protowire.SizeBytes(len(name))+1+protowire.SizeBytes(value)))
	dst = appendText(dst, 1, name)
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(value))
	dst = protowire.AppendTag(dst, 1, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(text))
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}
