package check

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// twice reports entries that a list which is a set holds a second time.
func (c *overIntent) twice() {
	for _, s := range c.in.services {
		for _, r := range s.Routes {
			c.twiceInMatches(r.Match)
			if r.Retries != nil {
				c.listedTwice("`on`", r.Retries.On, same)
				c.listedTwice("`methods`", r.Retries.Methods, same)
			}
		}
		c.twiceInRules(s.Security)
	}
	for _, g := range c.in.gateways {
		c.twiceInRules(g.Security)
		for _, l := range g.Listeners {
			c.listedTwice("`hosts`", l.Hosts, strings.ToLower)
		}
		for _, r := range g.Routes {
			c.listedTwice("`hosts`", r.Hosts, strings.ToLower)
			c.twiceInMatches(r.Match)
		}
	}
	for _, e := range c.in.externals {
		c.listedTwice("`endpoints`", e.Endpoints, same)
	}
}

func (c *overIntent) twiceInMatches(ms []*intent.Match) {
	for _, m := range ms {
		c.listedTwice("`method`", m.Methods, same)
	}
}

func (c *overIntent) twiceInRules(sec *intent.Security) {
	if sec == nil {
		return
	}
	lists := [][]*intent.Rule{sec.Allow, sec.Deny, sec.Audit, sec.Public}
	if a := sec.Authorizer; a != nil {
		lists = append(lists, a.On, a.Except)
	}
	for _, r := range slices.Concat(lists...) {
		for _, l := range []struct {
			name    string
			entries []intent.Value[string]
		}{
			{"from", r.From}, {"notFrom", r.NotFrom}, {"namespaces", r.Namespaces}, {"ips", r.IPs}, {"notIPs", r.NotIPs},
			{"clientIPs", r.ClientIPs}, {"notClientIPs", r.NotClientIPs},
			{"ports", r.Ports}, {"methods", r.Methods}, {"notMethods", r.NotMethods},
		} {
			c.listedTwice("`"+l.name+"`", l.entries, same)
		}
		c.listedTwice("`hosts`", r.Hosts, strings.ToLower)
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
