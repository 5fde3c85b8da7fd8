package asjson

import (
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// plan is how messages of one type are written.
type plan struct {
	desc    protoreflect.MessageDescriptor
	fields  []field // by index
	numbers map[protowire.Number]*field
	low     []*field // by number, for those that are small
	special bool     // has a form of its own in JSON
	own     form     // that form; nil: the slow way knows it
	wire    wireForm // that form, from the bytes; nil: by way of a message
}

// field is how a field is written.
type field struct {
	desc     protoreflect.FieldDescriptor
	index    int
	name     []byte         // quoted, with the colon
	kind     protowire.Type // of one value
	choice   int            // which oneof it is part of; -1 for none
	repeated bool           // may occur more than once: lists and maps
	packed   bool           // a list of numbers in one piece
	implicit bool           // is not there when it is zero
	message  func() *plan   // of the messages that it holds; nil for other values
	entry    *plan          // of a map: its entries
	value    *field         // of a map: the values
}

// lowNumbers is how many field numbers have a place in an array.
const lowNumbers = 64

func (p *plan) byNumber(n protowire.Number) *field {
	if n < lowNumbers {
		return p.low[n]
	}
	return p.numbers[n]
}

var plans sync.Map // protoreflect.MessageDescriptor → *plan

func planOf(d protoreflect.MessageDescriptor) *plan {
	if p, ok := plans.Load(d); ok {
		return p.(*plan)
	}
	p := newPlan(d)
	plans.Store(d, p)
	return p
}

func newPlan(d protoreflect.MessageDescriptor) *plan {
	fields := d.Fields()
	p := &plan{desc: d, fields: make([]field, fields.Len()), numbers: make(map[protowire.Number]*field), low: make([]*field, lowNumbers)}
	if d.FullName().Parent() == "google.protobuf" {
		p.special, p.own, p.wire = true, formOf(d), wireFormOf(d)
	}
	for i := range p.fields {
		f := &p.fields[i]
		*f = newField(fields.Get(i))
		if n := f.desc.Number(); n < lowNumbers {
			p.low[n] = f
		} else {
			p.numbers[n] = f
		}
	}
	// Extensions would come after the fields, and maps with other keys in an
	// order of their own.
	if d.ExtensionRanges().Len() > 0 || hasOtherMaps(fields) {
		p.special, p.wire = true, nil
	}
	return p
}

func newField(fd protoreflect.FieldDescriptor) field {
	f := field{
		desc: fd, index: fd.Index(), name: []byte(`"` + fd.TextName() + `": `),
		kind: wireTypeOf(fd.Kind()), choice: -1,
		repeated: fd.IsList() || fd.IsMap(), packed: fd.IsPacked(),
		implicit: !fd.HasPresence() && !fd.IsList() && !fd.IsMap(),
	}
	if o := fd.ContainingOneof(); o != nil {
		f.choice = o.Index()
	}
	switch {
	case fd.IsMap():
		f.entry = newPlan(fd.Message())
		value := newField(fd.MapValue())
		value.implicit = false // an entry says it always
		f.value = &value
	case fd.Message() != nil:
		// Types may lead to themselves: what is inside is found when it is there.
		f.message = sync.OnceValue(func() *plan { return planOf(fd.Message()) })
	}
	return f
}

func wireTypeOf(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	}
	return protowire.VarintType
}

func hasOtherMaps(fields protoreflect.FieldDescriptors) bool {
	for i := range fields.Len() {
		if fd := fields.Get(i); fd.IsMap() && fd.MapKey().Kind() != protoreflect.StringKind {
			return true
		}
	}
	return false
}
