package asjson

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// wireForm writes a message that has a form of its own in JSON from its bytes.
type wireForm func(w *writer, p *plan, b []byte, level int) (plain bool, err error)

func wireFormOf(d protoreflect.MessageDescriptor) wireForm {
	switch d.FullName().Name() {
	case "Any":
		return (*writer).wiredAny
	case "BoolValue", "Int32Value", "Int64Value", "UInt32Value", "UInt64Value", "FloatValue", "DoubleValue", "StringValue", "BytesValue":
		return (*writer).wrapped
	case "Duration":
		return (*writer).wiredDuration
	case "Struct":
		return (*writer).wiredStruct
	case "Value":
		return (*writer).wiredValue
	}
	return nil
}

// wrapped writes what a wrapper holds, which is not said when it is zero.
func (w *writer) wrapped(p *plan, b []byte, level int) (plain bool, err error) {
	if len(b) == 0 {
		fd := p.fields[0].desc
		return true, w.singular(fd, fd.Default(), level)
	}
	from := len(w.found)
	if !w.split(p, b) || len(w.found) != from+1 {
		return false, nil
	}
	return w.one(&p.fields[0], w.found[from], level)
}

func (w *writer) wiredDuration(p *plan, b []byte, _ int) (plain bool, err error) {
	from := len(w.found)
	if !w.split(p, b) {
		return false, nil
	}
	var parts [2]uint64
	for _, f := range w.found[from:] {
		if f.kind != protowire.VarintType {
			return false, nil
		}
		parts[f.field.index], _ = protowire.ConsumeVarint(f.bytes)
	}
	return w.span(int64(parts[0]), int64(int32(parts[1]))), nil
}

func (w *writer) wiredStruct(p *plan, b []byte, level int) (plain bool, err error) {
	from := len(w.found)
	if !w.split(p, b) {
		return false, nil
	}
	if len(w.found) == from {
		w.out = append(w.out, "{}"...)
		return true, nil
	}
	return w.wiredMap(&p.fields[0], from, len(w.found)-from, level)
}

func (w *writer) wiredValue(p *plan, b []byte, level int) (plain bool, err error) {
	from := len(w.found)
	if !w.split(p, b) || len(w.found) != from+1 {
		return false, nil
	}
	v := w.found[from]
	if v.kind == protowire.Fixed64Type {
		if n, _ := protowire.ConsumeFixed64(v.bytes); math.IsNaN(math.Float64frombits(n)) || math.IsInf(math.Float64frombits(n), 0) {
			return false, nil
		}
	}
	return w.one(v.field, v, level)
}

// content is what an Any of one type URL holds.
type content struct {
	url  string
	plan *plan
}

// wiredAny writes what an Any holds when it is of a type that is known.
func (w *writer) wiredAny(p *plan, b []byte, level int) (plain bool, err error) {
	from := len(w.found)
	if !w.split(p, b) {
		return false, nil
	}
	var parts [2][]byte
	for _, f := range w.found[from:] {
		if f.kind != protowire.BytesType {
			return false, nil
		}
		parts[f.field.index], _ = protowire.ConsumeBytes(f.bytes)
	}
	w.found = w.found[:from]
	inside, ok := w.packed[string(parts[0])]
	if !ok {
		url := string(parts[0])
		kind, err := protoregistry.GlobalTypes.FindMessageByURL(url)
		if err != nil {
			return false, nil // the slow way says what is wrong
		}
		inside = content{url, planOf(kind.Descriptor())}
		w.packed[url] = inside
	}
	if inside.plan.special {
		return false, nil
	}
	return true, w.wired(inside.plan, parts[1], level, inside.url)
}
