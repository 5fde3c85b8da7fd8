package language

import (
	"slices"
	"strings"
)

// names are what a mesh calls things, so that a reference can lead to another
// one: whatever a field refers to, its value is a label somewhere.
type names struct {
	texts  map[string][]string // by field: the texts that are written there
	labels map[string][]string // by map: the names of its entries
	maps   map[string][]string // by name: the maps that have it
}

// mostNames is how many names of one kind are tried in the place of another.
const mostNames = 6

func namesOf(all []*site) *names {
	n := &names{texts: map[string][]string{}, labels: map[string][]string{}, maps: map[string][]string{}}
	for _, s := range all {
		if text, ok := s.text(); ok {
			n.texts[s.place.field] = added(n.texts[s.place.field], text)
		}
		if s.above == nil || !strings.HasSuffix(s.place.field, ".*") {
			continue
		}
		for _, name := range []string{s.label, s.qualified()} {
			n.labels[s.place.field] = added(n.labels[s.place.field], name)
			n.maps[name] = added(n.maps[name], s.place.field)
		}
	}
	return n
}

func added(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// qualified is the name of an entry as another namespace writes it.
func (s *site) qualified() string {
	if strings.Count(s.place.field, ".") > 1 {
		return s.label
	}
	if namespace := s.textOf("namespace"); namespace != "" {
		return namespace + "/" + s.label
	}
	return s.label
}

// textOf is the text of a field that a site writes in its braces.
func (s *site) textOf(label string) string {
	for _, d := range s.fields() {
		if name, text := textField(d); name == label {
			return text
		}
	}
	return ""
}

// like gives names of things of the kind that name is one of.
func (n *names) like(name string) []string {
	var out []string
	for _, of := range n.maps[name] {
		for _, other := range n.labels[of] {
			if other != name && strings.Contains(other, "/") == strings.Contains(name, "/") {
				out = added(out, other)
			}
		}
	}
	return out[:min(len(out), mostNames)]
}

// beside gives what the mesh writes elsewhere in the same field.
func (n *names) beside(field, text string) []string {
	var out []string
	for _, other := range n.texts[field] {
		if other != text {
			out = append(out, other)
		}
	}
	return out[:min(len(out), mostNames)]
}
