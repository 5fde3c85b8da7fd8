// Package raw merges patches of Envoy's own configuration into messages that
// meshc made.
package raw

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	// A patch may hold what meshc itself never makes.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
)

// routerFilter ends every chain of HTTP filters.
const routerFilter = "envoy.filters.http.router"

// Parse reads JSON into the empty message m. Fields that m has not are refused,
// and those that are set to what they are without.
func Parse(text string, m proto.Message) error {
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		return fmt.Errorf("the patch is no %s: %s", m.ProtoReflect().Descriptor().Name(), reason(err))
	}
	if proto.Size(m) == 0 {
		return errors.New("the patch sets nothing")
	}
	if lost := unset(text, m); lost != "" {
		return fmt.Errorf("%s is set to its default, which changes nothing", lost)
	}
	return nil
}

// reason is what protojson says, without the space that it varies on purpose.
func reason(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return strings.TrimSpace(strings.TrimPrefix(text, "proto:"))
}

// Merge puts patch into m, which is of the same type: scalars are set, messages
// and what is packed in an Any of the same type merge, entries of maps are set,
// elements of lists merge with those of the same name or are added.
func Merge(m, patch proto.Message) error {
	return merge(m.ProtoReflect(), patch.ProtoReflect())
}

func merge(m, patch protoreflect.Message) error {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		return mergeAny(packed, patch.Interface().(*anypb.Any))
	}
	var err error
	patch.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		err = mergeField(m, fd, v)
		return err == nil
	})
	return err
}

func mergeField(m protoreflect.Message, fd protoreflect.FieldDescriptor, v protoreflect.Value) error {
	switch {
	case fd.IsMap():
		return mergeMap(m.Mutable(fd).Map(), fd, v.Map())
	case fd.IsList():
		return mergeList(m.Mutable(fd).List(), fd, v.List())
	case fd.Message() == nil || !m.Has(fd) || whole(fd.Message()):
		m.Set(fd, v)
		return nil
	}
	return merge(m.Mutable(fd).Message(), v.Message())
}

// whole says that a message is one value, as a duration is and a number that
// may be missing: half of one and half of another is neither.
func whole(d protoreflect.MessageDescriptor) bool {
	return d.ParentFile().Package() == "google.protobuf" && d.Name() != "Any" && d.Name() != "Struct"
}

// mergeAny merges what is packed; another type replaces it.
func mergeAny(m, patch *anypb.Any) error {
	if m.GetTypeUrl() != patch.GetTypeUrl() {
		m.TypeUrl, m.Value = patch.GetTypeUrl(), patch.GetValue()
		return nil
	}
	inner, err := m.UnmarshalNew()
	if err != nil {
		return err
	}
	more, err := patch.UnmarshalNew()
	if err != nil {
		return err
	}
	if err := Merge(inner, more); err != nil {
		return err
	}
	return anypb.MarshalFrom(m, inner, proto.MarshalOptions{Deterministic: true})
}

func mergeMap(m protoreflect.Map, fd protoreflect.FieldDescriptor, patch protoreflect.Map) error {
	var err error
	patch.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		if fd.MapValue().Message() != nil && m.Has(k) && !whole(fd.MapValue().Message()) {
			err = merge(m.Mutable(k).Message(), v.Message())
			return err == nil
		}
		m.Set(k, v)
		return true
	})
	return err
}

func mergeList(m protoreflect.List, fd protoreflect.FieldDescriptor, patch protoreflect.List) error {
	for i := range patch.Len() {
		v := patch.Get(i)
		if at := sameName(m, fd, v); at >= 0 {
			if err := merge(m.Get(at).Message(), v.Message()); err != nil {
				return err
			}
			continue
		}
		m.Append(v)
		if last := m.Len() - 1; last > 0 && nameOf(fd, m.Get(last-1)) == routerFilter {
			before := m.Get(last - 1)
			m.Set(last-1, m.Get(last))
			m.Set(last, before)
		}
	}
	return nil
}

// sameName finds the element that a patch's element is about; -1 for a new one.
func sameName(m protoreflect.List, fd protoreflect.FieldDescriptor, v protoreflect.Value) int {
	name := nameOf(fd, v)
	if name == "" {
		return -1
	}
	for i := range m.Len() {
		if nameOf(fd, m.Get(i)) == name {
			return i
		}
	}
	return -1
}

// nameOf an element of a list; "" where it has none.
func nameOf(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	d := fd.Message()
	if d == nil {
		return ""
	}
	name := d.Fields().ByName("name")
	if name == nil || name.Kind() != protoreflect.StringKind || name.IsList() {
		return ""
	}
	return v.Message().Get(name).String()
}
