package check

import (
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// twice reports entries that a list which is a set holds a second time.
func (c *overIntent) twice() {
	for _, s := range c.mesh.Services {
		for _, r := range s.Routes {
			c.twiceInMatches(r.Match)
			if r.Retries != nil {
				c.listedTwice("`on`", r.Retries.On, same)
				c.listedTwice("`methods`", r.Retries.Methods, same)
			}
		}
		if s.Security == nil {
			continue
		}
		for _, a := range s.Security.Allow {
			c.listedTwice("`from`", a.From, same)
			c.listedTwice("`methods`", a.Methods, same)
		}
	}
	for _, g := range c.mesh.Gateways {
		for _, l := range g.Listeners {
			c.listedTwice("`hosts`", l.Hosts, strings.ToLower)
		}
		for _, r := range g.Routes {
			c.listedTwice("`hosts`", r.Hosts, strings.ToLower)
			c.twiceInMatches(r.Match)
		}
	}
	for _, e := range c.mesh.Externals {
		c.listedTwice("`endpoints`", e.Endpoints, same)
	}
}

func (c *overIntent) twiceInMatches(ms []*intent.Match) {
	for _, m := range ms {
		c.listedTwice("`method`", m.Methods, same)
	}
}

func same(s string) string { return s }

// listedTwice compares entries by what key makes of them.
func (c *overIntent) listedTwice(list string, entries []intent.Value[string], key func(string) string) {
	first := map[string]diag.Range{}
	for _, e := range entries {
		at, again := first[key(e.V)]
		if !again {
			first[key(e.V)] = e.At
			continue
		}
		d := c.report(diag.ListedTwice, e.At, "%q is listed twice in %s", e.V, list)
		d.Related = []diag.Related{{Range: at, Message: "listed first here"}}
		d.WithFix("take the second one away", diag.Edit{Op: diag.RemoveElement, Range: e.At})
	}
}
