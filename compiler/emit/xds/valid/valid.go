// Package valid says why Envoy 1.40 or grpc-go would refuse a resource, or
// accept it and do something else, before a proxy sees it: the constraints of
// the protocol's own messages, and the rules that only the implementations
// have. It judges one message at a time; Set judges what one proxy gets.
package valid

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// validator is what the messages of the Envoy API have.
type validator interface{ ValidateAll() error }

// Message says why m would be refused: every reason, each with the field. It
// does not look inside of an Any: whoever packs a message has it judged before.
func Message(m proto.Message) error {
	var all []error
	if v, ok := m.(validator); ok {
		if err := v.ValidateAll(); err != nil {
			all = append(all, err)
		}
	}
	j := judges.Get().(*judge)
	defer judges.Put(j)
	j.path = j.path[:0]
	j.message(m.ProtoReflect())
	all = append(all, j.found...)
	j.found = nil
	return errors.Join(all...)
}

var judges = sync.Pool{New: func() any { return new(judge) }}

// Deep is Message for m and for all that is packed inside of it. A message of
// a type that this program does not know is refused.
func Deep(m proto.Message) error {
	var all []error
	if err := Message(m); err != nil {
		all = append(all, err)
	}
	eachAny(m.ProtoReflect(), func(packed *anypb.Any) {
		inner, err := packed.UnmarshalNew()
		if err == nil {
			err = Deep(inner)
		}
		if err != nil {
			all = append(all, fmt.Errorf("%s: %w", packed.GetTypeUrl(), err))
		}
	})
	return errors.Join(all...)
}

func eachAny(m protoreflect.Message, visit func(*anypb.Any)) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		visit(packed)
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		eachValue(fd, v, func(sub protoreflect.Message) { eachAny(sub, visit) })
		return true
	})
}

// judge collects what the rules find, and knows where it is.
type judge struct {
	found []error
	path  []step
}

// holds says how a field holds messages.
type holds uint8

const (
	aMessage holds = iota
	aList
	aMap
)

// step is one part of the way to a message: a field, and in a list or map the
// place in it.
type step struct {
	field protoreflect.FieldDescriptor
	index int    // in a list
	key   string // in a map
	kind  holds
}

// message applies the rule of m's type, and those of what it holds.
func (j *judge) message(m protoreflect.Message) {
	p := planOf(m.Descriptor())
	if p.rule != nil {
		for _, err := range p.rule(m.Interface()) {
			j.found = append(j.found, j.at(err))
		}
	}
	for _, at := range p.below {
		if !m.Has(at.field) {
			continue
		}
		switch v := m.Get(at.field); at.kind {
		case aList:
			for i, list := 0, v.List(); i < list.Len(); i++ {
				at.index = i
				j.inside(list.Get(i).Message(), at)
			}
		case aMap:
			j.entries(v.Map(), at)
		default:
			j.inside(v.Message(), at)
		}
	}
}

// entries judges the values of a map.
func (j *judge) entries(m protoreflect.Map, at step) {
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		at.key = k.String()
		j.inside(v.Message(), at)
		return true
	})
}

// inside judges a message that a field holds.
func (j *judge) inside(m protoreflect.Message, at step) {
	j.path = append(j.path, at)
	j.message(m)
	j.path = j.path[:len(j.path)-1]
}

// at says where the judge is.
func (j *judge) at(err error) error {
	if len(j.path) == 0 {
		return err
	}
	var where strings.Builder
	for i, s := range j.path {
		if i > 0 {
			where.WriteByte('.')
		}
		where.WriteString(string(s.field.Name()))
		switch s.kind {
		case aList:
			fmt.Fprintf(&where, "[%d]", s.index)
		case aMap:
			fmt.Fprintf(&where, "[%q]", s.key)
		}
	}
	return fmt.Errorf("%s: %w", where.String(), err)
}

// eachValue visits the messages that a field holds.
func eachValue(fd protoreflect.FieldDescriptor, v protoreflect.Value, visit func(m protoreflect.Message)) {
	switch {
	case fd.IsMap():
		if fd.MapValue().Message() == nil {
			return
		}
		v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			visit(v.Message())
			return true
		})
	case fd.Message() == nil:
	case fd.IsList():
		for i, list := 0, v.List(); i < list.Len(); i++ {
			visit(list.Get(i).Message())
		}
	default:
		visit(v.Message())
	}
}

// rule gives every reason to refuse a message of one type.
type rule func(proto.Message) []error

// plan is what is to be done for messages of one type: its own rule, and the
// fields below which there are types that have one.
type plan struct {
	rule  rule
	below []step // without places
}

var plans sync.Map // of *plan by protoreflect.MessageDescriptor

func planOf(d protoreflect.MessageDescriptor) *plan {
	if known, ok := plans.Load(d); ok {
		return known.(*plan)
	}
	p := &plan{rule: rules[d.FullName()]}
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		if sub := elementOf(fd); sub != nil && leadsToRule(sub, map[protoreflect.FullName]bool{}) {
			p.below = append(p.below, step{field: fd, kind: holdsOf(fd)})
		}
	}
	plans.Store(d, p)
	return p
}

func holdsOf(fd protoreflect.FieldDescriptor) holds {
	switch {
	case fd.IsMap():
		return aMap
	case fd.IsList():
		return aList
	}
	return aMessage
}

// elementOf is the type of the messages that a field holds, or nil.
func elementOf(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd.IsMap() {
		return fd.MapValue().Message()
	}
	return fd.Message()
}

func leadsToRule(d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if rules[d.FullName()] != nil {
		return true
	}
	if seen[d.FullName()] {
		return false
	}
	seen[d.FullName()] = true
	for i := range d.Fields().Len() {
		if sub := elementOf(d.Fields().Get(i)); sub != nil && leadsToRule(sub, seen) {
			return true
		}
	}
	return false
}

// on makes a rule for messages of type M.
func on[M proto.Message](r func(M) []error) (protoreflect.FullName, rule) {
	var zero M
	return zero.ProtoReflect().Descriptor().FullName(), func(m proto.Message) []error { return r(m.(M)) }
}
