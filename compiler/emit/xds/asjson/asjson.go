// Package asjson writes messages of the protocol as indented JSON, the bytes
// that protojson, encoding/json and its Indent give one after the other, in one
// go: what is asked for by the hundred thousand is worth that.
package asjson

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Append adds m to out. Lines after the first begin with the prefix, of
// spaces, and two spaces for each level. Fields have their names in the
// protocol.
func Append(out []byte, m proto.Message, prefix int) ([]byte, error) {
	w := writers.Get().(*writer)
	defer writers.Put(w)
	w.out, w.prefix, w.there, w.found = out, prefix, w.there[:0], w.found[:0]
	defer func() {
		w.out = nil
		clear(w.there[:cap(w.there)]) // a writer that waits holds no messages
	}()
	raw, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.MarshalAppend(w.raw[:0], m)
	if err != nil {
		err = w.message(m.ProtoReflect(), 0, "") // says where
		return w.out, err
	}
	w.raw = raw
	err = w.wired(planOf(m.ProtoReflect().Descriptor()), raw, 0, "")
	return w.out, err
}

var writers = sync.Pool{New: func() any { return newWriter() }}

// writer is one message on its way.
type writer struct {
	out    []byte
	prefix int
	there  []present          // the fields of the messages that are being written, one in the other
	found  []found            // the same of those that are written from their bytes
	raw    []byte             // the bytes of the whole message
	packed map[string]content // by type URL, as far as they were met
}

func newWriter() *writer { return &writer{packed: make(map[string]content)} }

// spaces are what a line begins with; deeper lines take the slow way.
const spaces = "\n                                                                                                                        "

func (w *writer) newline(level int) {
	n := w.prefix + 2*level
	w.out = append(w.out, spaces[:min(n+1, len(spaces))]...)
	for i := len(spaces); i <= n; i++ {
		w.out = append(w.out, ' ')
	}
}

// member begins the next entry of an object or a list; it gives first for the
// entries that follow.
func (w *writer) member(first bool, level int) bool {
	if !first {
		w.out = append(w.out, ',')
	}
	w.newline(level)
	return false
}

// end closes an object or a list, which has nothing inside when it is empty.
func (w *writer) end(bracket byte, empty bool, level int) {
	if !empty {
		w.newline(level)
	}
	w.out = append(w.out, bracket)
}

// message writes an object; typeURL is what an Any says about it, or "".
func (w *writer) message(m protoreflect.Message, level int, typeURL string) error {
	p := planOf(m.Descriptor())
	switch {
	case p.special && m.Descriptor().FullName() == anyName:
		return w.any(m, level)
	case p.special && p.own != nil && typeURL == "":
		return p.own(w, m, level)
	case p.special:
		return w.slowly(m, level, typeURL)
	}
	w.out = append(w.out, '{')
	first := true
	if typeURL != "" {
		first = w.member(first, level+1)
		w.out = append(w.out, `"@type": `...)
		if err := w.text(typeURL); err != nil {
			return err
		}
	}
	from := len(w.there)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		w.there = append(w.there, present{fd, v, fd.Index()})
		return true
	})
	// Range has no order; in what it gives few fields are out of theirs.
	slices.SortFunc(w.there[from:], func(a, b present) int { return cmp.Compare(a.index, b.index) })
	for i := from; i < len(w.there); i++ {
		f := w.there[i]
		first = w.member(first, level+1)
		w.out = append(w.out, p.fields[f.index].name...)
		if err := w.value(f.desc, f.value, level+1); err != nil {
			return fmt.Errorf("%s: %w", f.desc.FullName(), err)
		}
	}
	w.there = w.there[:from]
	w.end('}', first, level)
	return nil
}

// present is a field that a message has.
type present struct {
	desc  protoreflect.FieldDescriptor
	value protoreflect.Value
	index int // among the fields of its message
}

// any writes what an Any holds. As protojson, it has to know the type.
func (w *writer) any(m protoreflect.Message, level int) error {
	fields := m.Descriptor().Fields()
	url, value := m.Get(fields.ByNumber(1)).String(), m.Get(fields.ByNumber(2)).Bytes()
	if url == "" {
		return w.slowly(m, level, "")
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	if err != nil {
		return fmt.Errorf("resolve %q: %w", url, err)
	}
	inside := kind.New()
	if planOf(inside.Descriptor()).special {
		return w.slowly(m, level, "")
	}
	if err := (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(value, inside.Interface()); err != nil {
		return fmt.Errorf("unmarshal %q: %w", url, err)
	}
	return w.message(inside, level, url)
}

// slowly goes the way that the package is a short cut for.
func (w *writer) slowly(m protoreflect.Message, level int, typeURL string) error {
	if typeURL != "" {
		return fmt.Errorf("%s inside an Any has no short form", typeURL)
	}
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m.Interface())
	if err != nil {
		return err
	}
	if raw, err = json.Marshal(json.RawMessage(raw)); err != nil {
		return err
	}
	var body bytes.Buffer
	prefix := bytes.Repeat([]byte{' '}, w.prefix+2*level)
	if err := json.Indent(&body, raw, string(prefix), "  "); err != nil {
		return err
	}
	w.out = append(w.out, body.Bytes()...)
	return nil
}

func (w *writer) value(fd protoreflect.FieldDescriptor, v protoreflect.Value, level int) error {
	switch {
	case fd.IsList():
		list := v.List()
		w.out = append(w.out, '[')
		first := true
		for i := range list.Len() {
			first = w.member(first, level+1)
			if err := w.singular(fd, list.Get(i), level+1); err != nil {
				return err
			}
		}
		w.end(']', first, level)
		return nil
	case fd.IsMap():
		return w.entries(fd, v.Map(), level)
	}
	return w.singular(fd, v, level)
}

// entries writes a map by its keys, which are strings in what is written here.
func (w *writer) entries(fd protoreflect.FieldDescriptor, m protoreflect.Map, level int) error {
	w.out = append(w.out, '{')
	first := true
	for _, key := range sortedKeys(m) {
		first = w.member(first, level+1)
		if err := w.text(key.String()); err != nil {
			return err
		}
		w.out = append(w.out, ": "...)
		if err := w.singular(fd.MapValue(), m.Get(key), level+1); err != nil {
			return err
		}
	}
	w.end('}', first, level)
	return nil
}

func (w *writer) singular(fd protoreflect.FieldDescriptor, v protoreflect.Value, level int) error {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return w.text(v.String())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return w.message(v.Message(), level, "")
	case protoreflect.BytesKind:
		return w.text(base64.StdEncoding.EncodeToString(v.Bytes()))
	case protoreflect.EnumKind:
		return w.enum(fd.Enum(), v.Enum())
	}
	w.number(fd.Kind(), v)
	return nil
}

func (w *writer) enum(e protoreflect.EnumDescriptor, n protoreflect.EnumNumber) error {
	if e.FullName() == "google.protobuf.NullValue" {
		w.out = append(w.out, "null"...)
		return nil
	}
	if v := e.Values().ByNumber(n); v != nil {
		return w.text(string(v.Name()))
	}
	w.out = fmt.Append(w.out, n)
	return nil
}

const anyName protoreflect.FullName = "google.protobuf.Any"
