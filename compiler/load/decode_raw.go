package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) raw() *intent.Raw {
	return &intent.Raw{
		Name:     c.name(),
		Resource: c.required("resource").text(),
		Target:   c.required("name").text(),
		Proxies:  c.texts("proxies"),
		Patch:    c.required("patch").text(),
		Hash:     c.required("hash").text(),
		At:       c.label(),
	}
}
