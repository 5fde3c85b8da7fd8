package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) authorizer() *intent.Authorizer {
	out := &intent.Authorizer{
		Service:  c.required("service").text(),
		Port:     c.optionalText("port"),
		Timeout:  c.optionalText("timeout"),
		FailOpen: c.optionalTruth("failOpen"),
		Headers:  c.texts("headers"),
		On:       each(c.elements("on"), cursor.public),
		Except:   each(c.elements("except"), cursor.public),
		At:       c.label(),
	}
	if f, ok := c.field("maxBody"); ok {
		n := f.number()
		out.MaxBody = &n
	}
	return out
}
