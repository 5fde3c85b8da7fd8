// Package support says which fields of which xDS messages the data plane
// understands, and refuses by name every other field that is set. Each decoder
// keeps its own list of Messages beside its code; docs/xds-support.md is
// written from the same lists.
package support

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Message is one proto message and its supported fields. A message that is in
// no list is refused wherever it is reached.
type Message struct {
	Name   protoreflect.FullName
	Fields []Field
}

// Field is one supported field. Note is for the reader of the documentation.
type Field struct {
	Name protoreflect.Name
	Note string
	// Values, if any, are the only ones accepted: enum names, "true" or
	// "false", numbers in decimal, strings as they are; wrappers are unwrapped.
	Values []string
}

// F is a supported field.
func F(name protoreflect.Name, note string) Field { return Field{Name: name, Note: note} }

// Only is a field of which only these values are supported.
func Only(name protoreflect.Name, note string, values ...string) Field {
	return Field{Name: name, Note: note, Values: values}
}

// Table is the union of the decoders' lists. It is immutable.
type Table struct {
	messages map[protoreflect.FullName]map[protoreflect.Name]Field
	order    []Message
}

// New joins lists. A message listed twice is a programmer's mistake and panics
// at start, where every test sees it.
func New(lists ...[]Message) *Table {
	t := &Table{messages: make(map[protoreflect.FullName]map[protoreflect.Name]Field)}
	for _, list := range lists {
		for _, m := range list {
			if _, dup := t.messages[m.Name]; dup {
				panic(fmt.Sprintf("support: %s is listed twice", m.Name))
			}
			fields := make(map[protoreflect.Name]Field, len(m.Fields))
			for _, f := range m.Fields {
				fields[f.Name] = f
			}
			t.messages[m.Name] = fields
			t.order = append(t.order, m)
		}
	}
	return t
}

// Messages gives every message in list order.
func (t *Table) Messages() []Message { return slices.Clone(t.order) }

// Markdown renders one section per message, for docs/xds-support.md.
func (t *Table) Markdown() string {
	var b strings.Builder
	for _, m := range t.order {
		fmt.Fprintf(&b, "\n## %s\n\n", m.Name)
		if len(m.Fields) == 0 {
			b.WriteString("Accepted empty.\n")
			continue
		}
		b.WriteString("| field | values | note |\n|---|---|---|\n")
		for _, f := range m.Fields {
			values := "any"
			if len(f.Values) > 0 {
				values = "`" + strings.Join(f.Values, "`, `") + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, values, f.Note)
		}
	}
	return b.String()
}
