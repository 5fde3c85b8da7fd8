package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/scope"
)

// twiceInExpectations looks at what is expected of services, of gateways and of the
// mesh.
func (c *overIntent) twiceInExpectations() {
	for _, s := range c.mesh.Services {
		c.twiceExpected(s.Expect, scope.ServiceRef(s).Namespace)
	}
	for _, g := range c.mesh.Gateways {
		c.twiceExpected(g.Expect, scope.GatewayRef(g).Namespace)
	}
	for _, e := range c.mesh.Config.Expect {
		ref := referring(scope.DefaultNamespace)
		c.listedTwice("`services`", e.Services, ref)
		c.listedTwice("`notReachedFrom`", e.NotReachedFrom, ref)
		c.listedTwice("`exceptThrough`", e.ExceptThrough, ref)
		if e.ReachedBy != nil {
			c.listedTwice("`only`", e.ReachedBy.Only, ref)
		}
	}
}

func (c *overIntent) twiceExpected(all []*intent.Expect, namespace string) {
	for _, e := range all {
		c.twiceInMatches(e.Every)
		structTwice(c, "`every`", e.Every, func(m *intent.Match) diag.Range { return m.At })
		c.listedTwice("`from`", e.From, referring(namespace))
		c.listedTwice("`notTo`", e.NotTo, same)
		c.listedTwice("`notServices`", e.NotServices, referring(namespace))
		if e.ReachedBy != nil {
			c.listedTwice("`only`", e.ReachedBy.Only, referring(namespace))
		}
	}
}

// placeless names what is written, wherever it stands.
var placeless = digest.Without[diag.Range]()

// structTwice compares entries that are structs by all that is written in them.
func structTwice[T any](c *overIntent, list string, entries []*T, at func(*T) diag.Range) {
	first := map[digest.Sum]diag.Range{}
	for _, e := range entries {
		key := placeless.Of(e)
		before, again := first[key]
		if !again {
			first[key] = at(e)
			continue
		}
		d := c.report(diag.ListedTwice, at(e), "an entry is listed twice in %s", list)
		d.Related = []diag.Related{{Range: before, Message: "listed first here"}}
		d.WithFix("take the second one away", diag.Edit{Op: diag.RemoveElement, Range: at(e)})
	}
}
