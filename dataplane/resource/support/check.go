package support

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// maxDepth bounds nesting, of which recursive messages (RBAC's rules) and Anys
// inside Anys are the only unbounded sources.
const maxDepth = 48

// Error is one refusal: the path of the field inside the resource, in the
// notation of Envoy's JSON ("filter_chains[0].filters[0].typed_config.rds"),
// and what is wrong with it.
type Error struct{ Path, Reason string }

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Reason
	}
	return e.Path + ": " + e.Reason
}

// wellKnown messages hold plain values and are taken whole.
var wellKnown = map[protoreflect.FullName]bool{
	"google.protobuf.Duration":    true,
	"google.protobuf.Timestamp":   true,
	"google.protobuf.BoolValue":   true,
	"google.protobuf.UInt32Value": true,
	"google.protobuf.UInt64Value": true,
	"google.protobuf.DoubleValue": true,
	"google.protobuf.StringValue": true,
	"google.protobuf.Struct":      true,
}

// Check walks m and everything in it, Anys included, and gives the first field,
// in the order of field declaration, that is set and not supported.
// Every message is first judged by the rules of its own proto (ValidateAll).
func (t *Table) Check(m proto.Message) error {
	if err := validate(m); err != nil {
		return &Error{Reason: err.Error()}
	}
	return t.message(path{}, m.ProtoReflect(), 0)
}

func validate(m proto.Message) error {
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		return v.ValidateAll()
	}
	return nil
}

func (t *Table) message(at path, m protoreflect.Message, depth int) error {
	name := m.Descriptor().FullName()
	switch {
	case depth > maxDepth:
		return at.fail("nested more than %d deep", maxDepth)
	case wellKnown[name]:
		return nil
	case name == "google.protobuf.Any":
		return t.any(at, m.Interface().(*anypb.Any), depth)
	}
	fields, ok := t.messages[name]
	if !ok {
		return at.fail("%s is not supported", name)
	}
	if len(m.GetUnknown()) > 0 {
		return at.fail("%s has a field that is not known to this version of the proxy", name)
	}
	descs := m.Descriptor().Fields()
	for i := range descs.Len() {
		fd := descs.Get(i)
		if !m.Has(fd) {
			continue
		}
		f, ok := fields[fd.Name()]
		if !ok {
			return at.field(fd.Name()).fail("field is not supported (%s)", name)
		}
		if err := t.field(at.field(fd.Name()), f, fd, m.Get(fd), depth); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) any(at path, any *anypb.Any, depth int) error {
	name := any.MessageName()
	if _, ok := t.messages[name]; !ok {
		return at.fail("type %q is not supported", any.GetTypeUrl())
	}
	m, err := any.UnmarshalNew()
	if err != nil {
		return at.fail("%s: %v", name, err)
	}
	if err := validate(m); err != nil {
		return at.fail("%v", err)
	}
	return t.message(at, m.ProtoReflect(), depth+1)
}

func (t *Table) field(at path, f Field, fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) error {
	switch {
	case fd.IsMap():
		return t.mapField(at, f, fd, v.Map(), depth)
	case fd.IsList():
		for i := range v.List().Len() {
			if err := t.value(at.index(strconv.Itoa(i)), f, fd, v.List().Get(i), depth); err != nil {
				return err
			}
		}
		return nil
	}
	return t.value(at, f, fd, v, depth)
}

func (t *Table) mapField(at path, f Field, fd protoreflect.FieldDescriptor, m protoreflect.Map, depth int) error {
	var keys []protoreflect.MapKey
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		if err := t.value(at.index(strconv.Quote(k.String())), f, fd.MapValue(), m.Get(k), depth); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) value(at path, f Field, fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) error {
	if len(f.Values) > 0 {
		if got := text(fd, v); !slices.Contains(f.Values, got) {
			return at.fail("value %s is not supported (only %s)", got, strings.Join(f.Values, ", "))
		}
	}
	if fd.Message() != nil && len(f.Values) == 0 { // else nothing is left to look at
		return t.message(at, v.Message(), depth+1)
	}
	return nil
}

// text gives a value as Field.Values writes it.
func text(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch {
	case fd.Enum() != nil:
		if d := fd.Enum().Values().ByNumber(v.Enum()); d != nil {
			return string(d.Name())
		}
		return strconv.Itoa(int(v.Enum()))
	case fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Any":
		return v.Message().Interface().(*anypb.Any).GetTypeUrl()
	case fd.Message() != nil && wellKnown[fd.Message().FullName()]:
		inner := fd.Message().Fields().ByNumber(1)
		return v.Message().Get(inner).String()
	}
	return v.String()
}

// path is a place inside a resource, kept as a list so that the walk of a good
// resource builds no strings.
type path struct {
	up   *path
	part string
	sub  bool // part is an index of up
}

func (p path) field(name protoreflect.Name) path { return path{up: &p, part: string(name)} }
func (p path) index(key string) path             { return path{up: &p, part: key, sub: true} }

func (p path) String() string {
	if p.up == nil {
		return ""
	}
	up := p.up.String()
	switch {
	case p.sub:
		return up + "[" + p.part + "]"
	case up == "":
		return p.part
	}
	return up + "." + p.part
}

func (p path) fail(format string, args ...any) error {
	return &Error{Path: p.String(), Reason: fmt.Sprintf(format, args...)}
}
