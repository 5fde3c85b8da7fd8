package route

import "github.com/meshc/meshc/dataplane/message"

// Apply changes the fields in place and gives the result, which may share the
// array of fields. Names are in lower case. Conditions (AddIfAbsent,
// OverwriteIfExists) see the fields as they were after the removals. Then, the
// mutations of the less specific level, run last, so the least specific level
// wins, as in Envoy.
func (m *HeaderMutations) Apply(fields []message.Field) []message.Field {
	for ; m != nil; m = m.Then {
		for _, name := range m.Remove {
			fields = removeField(fields, name)
		}
		for i := range m.Mutate {
			fields = m.Mutate[i].apply(fields)
		}
	}
	return fields
}

// Empty says that Apply would change nothing.
func (m *HeaderMutations) Empty() bool {
	return m == nil || len(m.Remove) == 0 && len(m.Mutate) == 0 && m.Then.Empty()
}

func (m *HeaderMutation) apply(fields []message.Field) []message.Field {
	switch m.Action {
	case AddIfAbsent:
		if _, ok := message.Get(fields, m.Name); ok {
			return fields
		}
	case OverwriteIfExists:
		if _, ok := message.Get(fields, m.Name); !ok {
			return fields
		}
		fields = removeField(fields, m.Name)
	case OverwriteIfExistsOrAdd:
		fields = removeField(fields, m.Name)
	}
	return append(fields, message.Field{Name: m.Name, Value: m.Value})
}

func removeField(fields []message.Field, name string) []message.Field {
	kept := fields[:0]
	for i := range fields {
		if fields[i].Name != name {
			kept = append(kept, fields[i])
		}
	}
	return kept
}
