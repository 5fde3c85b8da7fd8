package load

import (
	"cuelang.org/go/cue"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
)

func (c cursor) match() *intent.Match {
	m := &intent.Match{
		Methods:    c.methods("method"),
		NotMethods: c.methods("notMethod"),
		Scheme:     c.optionalText("scheme"),
		Headers:    each(c.entries("headers"), cursor.named),
		Query:      each(c.entries("query"), cursor.named),
		Cookies:    each(c.entries("cookies"), cursor.named),
		Claims:     c.claims(),
		At:         c.label(),
	}
	if p, ok := c.field("path"); ok {
		m.Path = p.path()
	}
	if g, ok := c.field("grpc"); ok {
		m.GRPC = &intent.GRPCMatch{Service: g.required("service").text(), Method: g.optionalText("method"), At: g.label()}
	}
	if h, ok := c.field("host"); ok {
		m.Host = h.named()
	}
	return m
}

// methods reads one text or a list of them.
func (c cursor) methods(name string) []intent.Value[string] {
	m, ok := c.field(name)
	switch {
	case !ok:
		return nil
	case m.v.Kind() == cue.ListKind:
		return texts(m.list())
	}
	return []intent.Value[string]{m.text()}
}

// Conditions of which exactly one is written, in the order of the schema.
var (
	pathKinds  = []string{"exact", "prefix", "segmentPrefix", "regex", "template"}
	namedKinds = []string{"exact", "prefix", "suffix", "contains", "regex", "range", "present"}
)

func (c cursor) path() *intent.PathMatch {
	kind, value := c.one(pathKinds)
	return &intent.PathMatch{
		Kind: kind, Value: value, IgnoreCase: c.optionalTruth("ignoreCase"), Not: c.optionalTruth("not"), At: c.label(),
	}
}

func (c cursor) named() *intent.NamedMatch {
	kind, value := c.one(namedKinds)
	return &intent.NamedMatch{Name: c.name(), Kind: kind, Value: value, Not: c.optionalTruth("not"), At: c.label()}
}

// one reads the condition that was written; judge has seen that it is one.
func (c cursor) one(kinds []string) (kind, value intent.Value[string]) {
	for _, k := range kinds {
		f, ok := c.field(k)
		if !ok {
			continue
		}
		switch k {
		case "present":
			t := f.truth()
			value = intent.Value[string]{V: "false", At: t.At}
			if t.V {
				value.V = "true"
			}
		case "range":
			value = intent.Value[string]{V: literal.FormatRange(f.required("from").decimal().V, f.required("to").decimal().V), At: f.label()}
		default:
			value = f.text()
		}
		return f.name(), value
	}
	return kind, value
}
