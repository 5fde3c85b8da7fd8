package model

import (
	"fmt"
	"strings"
)

// String writes a condition on the path in words.
func (p PathMatch) String() string {
	text := fmt.Sprintf("path %s %q", p.Kind, p.Value)
	if p.IgnoreCase {
		text += " in any case"
	}
	if p.Not {
		return "not " + text
	}
	return text
}

// String writes a condition in words, without saying what Name is a name of.
func (n NamedMatch) String() string {
	text := n.Name + " " + string(n.Kind)
	switch n.Kind {
	case Present, Absent:
	case Range:
		text += " " + n.Value
	default:
		text += fmt.Sprintf(" %q", n.Value)
	}
	if n.Not {
		return "not " + text
	}
	return text
}

// String writes all conditions in words; a match without any is "every
// request".
func (m Match) String() string {
	var parts []string
	for _, p := range m.Paths {
		parts = append(parts, p.String())
	}
	if len(m.Methods) > 0 {
		parts = append(parts, "method "+strings.Join(m.Methods, " or "))
	}
	if len(m.NotMethods) > 0 {
		parts = append(parts, "method is not "+strings.Join(m.NotMethods, " or "))
	}
	for _, group := range []struct {
		kind string
		list []NamedMatch
	}{{"header", m.Headers}, {"query", m.Query}, {"cookie", m.Cookies}, {"claim", m.Claims}} {
		for _, n := range group.list {
			parts = append(parts, group.kind+" "+n.String())
		}
	}
	if len(parts) == 0 {
		return "every request"
	}
	return strings.Join(parts, ", ")
}
