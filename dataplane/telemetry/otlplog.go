package telemetry

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// otlpFormat is an access log as records of OTLP: a body, and attributes that are
// texts. What is not there is "-", as in lines of text.
type otlpFormat struct {
	body       []piece // none: no body
	attributes []otlpAttribute
}

type otlpAttribute struct {
	name   string
	pieces []piece
}

func compileOTLP(a snapshot.AccessLog) (*Format, error) {
	f := &otlpFormat{}
	var err error
	if a.TextFormat != "" {
		if f.body, err = parse(a.TextFormat); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.JSONFormat)) {
		pieces, err := parse(a.JSONFormat[name])
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", name, err)
		}
		f.attributes = append(f.attributes, otlpAttribute{name, pieces})
	}
	return &Format{otlp: f}, nil
}

// append writes a LogRecord as the second field of its scope.
func (f *otlpFormat) append(dst, aside []byte, r *Record) (out, used []byte) {
	var room [512]byte
	text := room[:0]
	b := aside[:0]
	b = appendFixed(b, 1, uint64(r.Start.UnixNano()))
	if f.body != nil {
		text = appendPieces(text[:0], f.body, r)
		b = protowire.AppendTag(b, 5, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(1+protowire.SizeBytes(len(text))))
		b = appendMessage(b, 1, text)
	}
	for i := range f.attributes {
		a := &f.attributes[i]
		text = appendPieces(text[:0], a.pieces, r)
		b = appendAttributeBytes(b, 6, a.name, text)
	}
	return appendMessage(dst, 2, b), b
}

func appendAttributeBytes(dst []byte, field protowire.Number, name string, text []byte) []byte {
	value := 1 + protowire.SizeBytes(len(text))
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(1+protowire.SizeBytes(len(name))+1+protowire.SizeBytes(value)))
	dst = appendText(dst, 1, name)
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(value))
	return appendMessage(dst, 1, text)
}
