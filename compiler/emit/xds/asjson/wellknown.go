package asjson

import (
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// form writes a message of google.protobuf that has a form of its own in JSON.
type form func(w *writer, m protoreflect.Message, level int) error

// formOf gives the form of the types that resources are full of; nil for others.
func formOf(d protoreflect.MessageDescriptor) form {
	switch d.FullName().Name() {
	case "BoolValue", "Int32Value", "Int64Value", "UInt32Value", "UInt64Value", "FloatValue", "DoubleValue", "StringValue", "BytesValue":
		value := d.Fields().ByName("value")
		return func(w *writer, m protoreflect.Message, level int) error {
			return w.singular(value, m.Get(value), level)
		}
	case "Duration":
		return (*writer).duration
	case "Struct", "ListValue":
		only := d.Fields().Get(0)
		return func(w *writer, m protoreflect.Message, level int) error {
			return w.value(only, m.Get(only), level)
		}
	case "Value":
		return (*writer).anyValue
	}
	return nil
}

// Bounds of a duration (google/protobuf/duration.proto).
const (
	maxSeconds = 315_576_000_000
	maxNanos   = 999_999_999
)

// duration writes seconds with 0, 3, 6 or 9 digits behind the point.
func (w *writer) duration(m protoreflect.Message, level int) error {
	fields := m.Descriptor().Fields()
	seconds, nanos := m.Get(fields.ByNumber(1)).Int(), m.Get(fields.ByNumber(2)).Int()
	if !w.span(seconds, nanos) {
		return w.slowly(m, level, "") // which says what is wrong
	}
	return nil
}

// span writes a duration, unless it is none.
func (w *writer) span(seconds, nanos int64) bool {
	if seconds < -maxSeconds || seconds > maxSeconds || nanos < -maxNanos || nanos > maxNanos || seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0 {
		return false
	}
	w.out = append(w.out, '"')
	if seconds < 0 || nanos < 0 {
		w.out = append(w.out, '-')
		seconds, nanos = -seconds, -nanos
	}
	w.out = strconv.AppendInt(w.out, seconds, 10)
	if nanos > 0 {
		digits := strconv.FormatInt(1_000_000_000+nanos, 10)[1:]
		digits = strings.TrimSuffix(strings.TrimSuffix(digits, "000"), "000")
		w.out = append(append(w.out, '.'), digits...)
	}
	w.out = append(w.out, 's', '"')
	return true
}

// anyValue writes what a google.protobuf.Value holds.
func (w *writer) anyValue(m protoreflect.Message, level int) error {
	fd := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
	if fd == nil {
		return w.slowly(m, level, "") // which says what is wrong
	}
	v := m.Get(fd)
	if fd.Kind() == protoreflect.DoubleKind && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)) {
		return w.slowly(m, level, "")
	}
	return w.singular(fd, v, level)
}
