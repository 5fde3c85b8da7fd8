package asjson

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Messages are written from their bytes in the protocol, which hold what is set
// and nothing else, and where what is packed inside of an Any stands as it is.
// Bytes that proto.Marshal would not have made, such as those that say a field
// twice, are read into a message first: what they mean is not decided here.

// maxDepth bounds how deep the bytes are followed before they are read into a
// message, which has a bound of its own.
const maxDepth = 100

// found is one field in the bytes of a message.
type found struct {
	field *field
	kind  protowire.Type
	bytes []byte // from behind the tag to the end of the value
}

// wired writes the message whose bytes are b; typeURL is what an Any says about
// it, or "".
func (w *writer) wired(p *plan, b []byte, level int, typeURL string) error {
	from, there := len(w.out), len(w.found)
	plain, err := false, error(nil)
	if level < maxDepth {
		plain, err = w.plainly(p, b, level, typeURL)
	}
	w.found = w.found[:there]
	if plain || err != nil {
		return err
	}
	w.out = w.out[:from]
	kind, err := protoregistry.GlobalTypes.FindMessageByName(p.desc.FullName())
	if err != nil {
		return fmt.Errorf("resolve %q: %w", p.desc.FullName(), err)
	}
	m := kind.New()
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(b, m.Interface()); err != nil {
		return fmt.Errorf("unmarshal %q: %w", p.desc.FullName(), err)
	}
	return w.message(m, level, typeURL)
}

// plainly writes b when it is what proto.Marshal makes; plain is false when it is
// not, or when the type asks for more.
func (w *writer) plainly(p *plan, b []byte, level int, typeURL string) (plain bool, err error) {
	if p.special {
		if p.wire == nil || typeURL != "" {
			return false, nil
		}
		return p.wire(w, p, b, level)
	}
	from := len(w.found)
	if !w.split(p, b) {
		return false, nil
	}
	to := len(w.found)
	w.out = append(w.out, '{')
	first := true
	if typeURL != "" {
		first = w.member(first, level+1)
		w.out = append(w.out, `"@type": `...)
		if err := w.text(typeURL); err != nil {
			return false, err
		}
	}
	for i := from; i < to; {
		f := w.found[i].field
		n := 1
		for i+n < to && w.found[i+n].field == f {
			n++
		}
		first = w.member(first, level+1)
		w.out = append(w.out, f.name...)
		if plain, err := w.occurrences(f, i, n, level+1); !plain || err != nil {
			return plain, err
		}
		i += n
	}
	w.end('}', first, level)
	return true, nil
}

// split finds the fields in b, and puts those that p knows in the order of its
// fields. It is false for bytes that have to be read into a message.
func (w *writer) split(p *plan, b []byte) bool {
	from := len(w.found)
	sorted := true
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || number > protowire.MaxValidNumber {
			return false
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(number, kind, b)
		if n < 0 || kind == protowire.StartGroupType {
			return false
		}
		if f := p.byNumber(number); f != nil {
			if last := len(w.found) - 1; last >= from && w.found[last].field.index > f.index {
				sorted = false
			}
			w.found = append(w.found, found{f, kind, b[:n]})
		}
		b = b[n:]
	}
	list := w.found[from:]
	if !sorted {
		slices.SortStableFunc(list, func(a, b found) int { return cmp.Compare(a.field.index, b.field.index) })
	}
	choice := -1
	for i, f := range list {
		if i > 0 && list[i-1].field == f.field && !f.field.repeated {
			return false
		}
		// Members of one choice stand next to each other in its declaration.
		if i > 0 && list[i-1].field != f.field && f.field.choice >= 0 && f.field.choice == choice {
			return false
		}
		choice = f.field.choice
	}
	return true
}

// occurrences writes the n values that a field has, from the one at i on.
func (w *writer) occurrences(f *field, i, n, level int) (plain bool, err error) {
	switch {
	case f.value != nil:
		return w.wiredMap(f, i, n, level)
	case !f.repeated:
		return w.one(f, w.found[i], level)
	case f.packed:
		if n > 1 || w.found[i].kind != protowire.BytesType {
			return false, nil
		}
		return w.unpack(f, w.found[i].bytes, level)
	}
	w.out = append(w.out, '[')
	for k := range n {
		w.member(k == 0, level+1)
		if plain, err := w.one(f, w.found[i+k], level+1); !plain || err != nil {
			return plain, err
		}
	}
	w.end(']', false, level)
	return true, nil
}

// unpack writes a list of numbers that stand in one piece.
func (w *writer) unpack(f *field, b []byte, level int) (plain bool, err error) {
	b, _ = protowire.ConsumeBytes(b)
	if len(b) == 0 {
		return false, nil
	}
	w.out = append(w.out, '[')
	for first := true; len(b) > 0; {
		first = w.member(first, level+1)
		n := protowire.ConsumeFieldValue(1, f.kind, b)
		if n < 0 {
			return false, nil
		}
		if plain, err := w.one(f, found{f, f.kind, b[:n]}, level+1); !plain || err != nil {
			return plain, err
		}
		b = b[n:]
	}
	w.end(']', false, level)
	return true, nil
}

// wiredMap writes a map, whose entries are messages of a key and a value.
func (w *writer) wiredMap(f *field, i, n, level int) (plain bool, err error) {
	w.out = append(w.out, '{')
	var last []byte
	for k := range n {
		entry := w.found[i+k]
		if entry.kind != protowire.BytesType {
			return false, nil
		}
		body, _ := protowire.ConsumeBytes(entry.bytes)
		from := len(w.found)
		if !w.split(f.entry, body) || len(w.found) != from+2 || w.found[from].kind != protowire.BytesType {
			return false, nil
		}
		value := w.found[from+1]
		key, _ := protowire.ConsumeBytes(w.found[from].bytes)
		if k > 0 && bytes.Compare(key, last) <= 0 {
			return false, nil
		}
		last = key
		w.member(k == 0, level+1)
		if err := appendText(w, key); err != nil {
			return false, err
		}
		w.out = append(w.out, ": "...)
		value.field = f.value
		if plain, err := w.one(f.value, value, level+1); !plain || err != nil {
			return plain, err
		}
		w.found = w.found[:from]
	}
	w.end('}', false, level)
	return true, nil
}

// one writes a value that is no list and no map.
func (w *writer) one(f *field, v found, level int) (plain bool, err error) {
	if v.kind != f.kind {
		return false, nil
	}
	if f.kind != protowire.BytesType {
		return w.wiredNumber(f, v.bytes)
	}
	b, _ := protowire.ConsumeBytes(v.bytes)
	if f.message != nil {
		return true, w.wired(f.message(), b, level, "")
	}
	if len(b) == 0 && f.implicit {
		return false, nil
	}
	if f.desc.Kind() == protoreflect.BytesKind {
		return true, w.text(base64.StdEncoding.EncodeToString(b))
	}
	return true, appendText(w, b)
}

// wiredNumber writes a number, a truth value or an enumerator.
func (w *writer) wiredNumber(f *field, b []byte) (plain bool, err error) {
	var n uint64
	switch f.kind {
	case protowire.VarintType:
		n, _ = protowire.ConsumeVarint(b)
	case protowire.Fixed32Type:
		n32, _ := protowire.ConsumeFixed32(b)
		n = uint64(n32)
	default:
		n, _ = protowire.ConsumeFixed64(b)
	}
	if n == 0 && f.implicit {
		return false, nil
	}
	kind := f.desc.Kind()
	switch kind {
	case protoreflect.EnumKind:
		return true, w.enum(f.desc.Enum(), protoreflect.EnumNumber(n))
	case protoreflect.BoolKind:
		if n > 1 {
			return false, nil
		}
		w.number(kind, protoreflect.ValueOfBool(n == 1))
	case protoreflect.Int32Kind, protoreflect.Sfixed32Kind:
		w.number(kind, protoreflect.ValueOfInt32(int32(n)))
	case protoreflect.Sint32Kind:
		w.number(kind, protoreflect.ValueOfInt32(int32(protowire.DecodeZigZag(n&math.MaxUint32))))
	case protoreflect.Int64Kind, protoreflect.Sfixed64Kind:
		w.number(kind, protoreflect.ValueOfInt64(int64(n)))
	case protoreflect.Sint64Kind:
		w.number(kind, protoreflect.ValueOfInt64(protowire.DecodeZigZag(n)))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		w.number(kind, protoreflect.ValueOfUint32(uint32(n)))
	case protoreflect.FloatKind:
		w.number(kind, protoreflect.ValueOfFloat32(math.Float32frombits(uint32(n))))
	case protoreflect.DoubleKind:
		w.number(kind, protoreflect.ValueOfFloat64(math.Float64frombits(n)))
	default:
		w.number(kind, protoreflect.ValueOfUint64(n))
	}
	return true, nil
}
