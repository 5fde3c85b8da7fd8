package behave

import (
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// HeaderOps are changes in the order remove, set, add, as few as say it, sorted
// by name.
type HeaderOps struct {
	Remove []string       `json:"remove,omitempty"`
	Set    []model.Header `json:"set,omitempty"`
	Add    []model.Header `json:"add,omitempty"`
}

// field is what changes come to for one header.
type field struct {
	cleared bool     // what the request had is gone
	values  []string // that are there then, in order
}

// headerOps is the normal form of changes that are made one after the other:
// for every name whether what was there goes, and what is there then.
func headerOps(steps ...model.HeaderOps) HeaderOps {
	fields := fieldsOf(steps...)
	var out HeaderOps
	for _, name := range sortedKeys(fields) {
		f := fields[name]
		switch {
		case f.cleared && len(f.values) == 0:
			out.Remove = append(out.Remove, name)
		case f.cleared:
			out.Set = append(out.Set, model.Header{Name: name, Value: f.values[0]})
			f.values = f.values[1:]
		}
		for _, v := range f.values {
			out.Add = append(out.Add, model.Header{Name: name, Value: v})
		}
	}
	return out
}

// fieldsOf says what changes come to, by the name of the header.
func fieldsOf(steps ...model.HeaderOps) map[string]field {
	fields := map[string]field{}
	for _, h := range steps {
		for _, name := range h.Remove {
			fields[name] = field{cleared: true}
		}
		for _, kv := range h.Set {
			fields[kv.Name] = field{cleared: true, values: []string{kv.Value}}
		}
		for _, kv := range h.Add {
			f := fields[kv.Name]
			fields[kv.Name] = field{f.cleared, append(slices.Clip(f.values), kv.Value)}
		}
	}
	return fields
}

// shared takes the changes that all destinations have out of them, if they have
// the same.
func shared(to []Destination, of func(*Destination) *HeaderOps) HeaderOps {
	for i := range to {
		if !reflect.DeepEqual(*of(&to[i]), *of(&to[0])) {
			return HeaderOps{}
		}
	}
	if len(to) == 0 {
		return HeaderOps{}
	}
	all := *of(&to[0])
	for i := range to {
		*of(&to[i]) = HeaderOps{}
	}
	return all
}

// apply makes the changes.
func (h HeaderOps) apply(headers []model.Header) []model.Header {
	gone := func(kv model.Header) bool {
		name := strings.ToLower(kv.Name)
		return slices.Contains(h.Remove, name) || slices.ContainsFunc(h.Set, func(s model.Header) bool { return s.Name == name })
	}
	return slices.Concat(slices.DeleteFunc(slices.Clone(headers), gone), h.Set, h.Add)
}
