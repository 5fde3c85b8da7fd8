package policies

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// widened asks of every service and external that was there before whether
// somebody is let in now who was not, or on fewer conditions.
func (c *change) widened() []finding {
	var out []finding
	for _, a := range c.admissions() {
		out = append(out, c.gained(a)...)
	}
	return out
}

// admissions is what changes about who reaches the services and externals that
// are there before and after.
func (c *change) admissions() []*behave.Access {
	if c.asked {
		return c.access
	}
	c.asked = true
	c.approached = c.approaches()
	pairs := c.paired()
	for _, ref := range c.inBoth() {
		if !c.untouched(ref) {
			c.access = append(c.access, pairs.Access(ref))
		}
	}
	return c.access
}

// inBoth are the services and externals of both meshes, whatever they are called.
func (c *change) inBoth() []model.Ref {
	before, after := c.paired().Before, c.paired().After
	var out []model.Ref
	add := func(ref model.Ref) {
		if after.Service(ref) != nil || after.External(ref) != nil {
			out = append(out, ref)
		}
	}
	for _, s := range before.Services {
		add(s.Ref)
	}
	for _, e := range before.Externals {
		add(e.Ref)
	}
	return out
}

func (c *change) gained(a *behave.Access) []finding {
	var out []finding
	at := c.origin(a.Ref)
	for _, u := range a.Unknown {
		out = append(out, finding{code: diag.PolicyUnknown, of: a.Name, at: at,
			text: fmt.Sprintf("it cannot be told who is let in to %s %s now: %s", a.Kind, a.Ref, u)})
	}
	for i := range a.Entries {
		e := &a.Entries[i]
		how := loosens(e)
		if how == "" {
			continue
		}
		out = append(out, finding{code: diag.PolicyAccess, of: a.Name, at: at,
			text: fmt.Sprintf("%s %s %s %s, port %d: %s", a.Kind, a.Ref, how, who(e), e.Port, strings.Join(e.Words, "; or ")),
			help: "it takes an exemption as approval: by the owner, with a reason, until a day", sample: e.Witness.String()})
	}
	return out
}

// loosens says in words what is wider now; "" for nothing.
func loosens(e *behave.Entry) string {
	switch {
	case e.Gained():
		return "newly lets in"
	case !e.After.Admitted:
		return ""
	case slices.ContainsFunc(e.Before.Asks, func(a string) bool { return !slices.Contains(e.After.Asks, a) }):
		return "no longer asks " + strings.Join(e.Before.Asks, ", ") + " about"
	case e.Before.Judged != e.After.Judged && e.Before.Judged != "":
		return "has other conditions on a rewritten path, which are not compared, for"
	}
	return ""
}

func who(e *behave.Entry) string {
	var names []string
	for _, ref := range e.Who {
		names = append(names, ref.String())
	}
	switch e.Way {
	case behave.ByCaller:
		return "requests of " + strings.Join(names, ", ")
	case behave.ByGateway:
		return "clients of gateway " + strings.Join(names, ", ")
	case behave.ByPlaintext:
		return "whoever connects without mutual TLS"
	}
	return "whoever connects with another identity"
}

func (c *change) origin(ref model.Ref) model.Origin {
	if s := c.after.Service(ref); s != nil {
		return s.Origin
	}
	return c.after.External(ref).Origin
}

// untouched says that nothing that decides who gets to a service or external is
// written otherwise, or elsewhere, than before.
func (c *change) untouched(ref model.Ref) bool {
	before, after := c.paired().Before, c.paired().After
	if before.TrustDomain != after.TrustDomain || !slices.Equal(before.Aliases, after.Aliases) || !reflect.DeepEqual(plain(before.Raw), plain(after.Raw)) {
		return false
	}
	old, now := before.Service(ref), after.Service(ref)
	// Whether there is a proxy goes by the ports of what a service calls as well.
	if old != nil && now != nil && before.RoleOf(old) != after.RoleOf(now) {
		return false
	}
	return reflect.DeepEqual(old, now) && reflect.DeepEqual(before.External(ref), after.External(ref)) && !c.approached[ref]
}

// approaches are the services and externals that somebody else calls than
// before, or by another gateway.
func (c *change) approaches() map[model.Ref]bool {
	out := map[model.Ref]bool{}
	before, after := users(c.paired().Before), users(c.paired().After)
	for _, both := range []map[model.Ref][]string{before, after} {
		for ref := range both {
			out[ref] = out[ref] || !slices.Equal(before[ref], after[ref])
		}
	}
	for _, m := range []*model.Mesh{c.paired().Before, c.paired().After} {
		for _, g := range m.Gateways {
			if reflect.DeepEqual(c.paired().Before.Gateway(g.Ref), c.paired().After.Gateway(g.Ref)) {
				continue
			}
			for _, ref := range ledTo(m, g) {
				out[ref] = true
			}
		}
	}
	return out
}

// users are the services that declare to use each, with their identities.
func users(m *model.Mesh) map[model.Ref][]string {
	out := map[model.Ref][]string{}
	for _, s := range m.Services {
		for _, ref := range s.Uses {
			out[ref] = append(out[ref], s.Ref.String()+" "+s.SPIFFEID)
		}
	}
	return out
}

// ledTo are the services that a gateway leads to, and, by an egress gateway, the
// externals.
func ledTo(m *model.Mesh, g *model.Gateway) []model.Ref {
	var out []model.Ref
	for i := range g.Listeners {
		for j := range g.Listeners[i].Hosts {
			for _, r := range g.Listeners[i].Hosts[j].Routes {
				out = append(out, r.Service)
			}
		}
	}
	for _, e := range m.Behind(g.Ref) {
		out = append(out, e.Ref)
	}
	return out
}
