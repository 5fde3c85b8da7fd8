package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// shadowed reports a route when earlier ones certainly take every request that
// it could: each of its matches, split by port and method, lies within one
// match of one earlier route. A gap that only several conditions together
// close is not looked for.
func (c *overModel) shadowed() {
	for _, s := range c.mesh.Services {
		var earlier []candidate
		for _, r := range s.Routes {
			this := candidate{parts(r), r.Name, r.Origin}
			if by := takenBy(this, earlier); by != nil {
				c.reportShadow("route", this, by)
			}
			earlier = append(earlier, this)
		}
	}
}

// candidate is a rule, taken apart once.
type candidate struct {
	parts []part
	name  string
	at    diag.Range
}

func (c *overModel) reportShadow(kind string, this candidate, by *candidate) {
	d := c.report(diag.ShadowedRoute, this.at, "%s %q can never be reached: earlier routes take all of its requests", kind, this.name)
	d.Help = "move it above route \"" + by.name + "\", or take it away"
	d.Related = []diag.Related{{Range: by.at, Message: "this route takes them"}}
}

// takenBy gives the last of the earlier rules that take everything of this
// one, or nil when something may be left.
func takenBy(this candidate, earlier []candidate) *candidate {
	var by *candidate
	for _, p := range this.parts {
		i := slices.IndexFunc(earlier, func(e candidate) bool { return e.takes(p) })
		if i < 0 {
			return nil
		}
		by = &earlier[i]
	}
	return by
}

func (e *candidate) takes(p part) bool {
	for i := range e.parts {
		if e.parts[i].port == p.port && reach.Covers(e.parts[i].match, p.match) {
			return true
		}
	}
	return false
}

// part is what one match of a route accepts on one port, with one method if
// it names any.
type part struct {
	port  uint16
	match model.Match
}

func parts(r *model.Route) []part {
	matches := r.Match
	if len(matches) == 0 {
		matches = []model.Match{{}}
	}
	var out []part
	for _, port := range r.Ports {
		for _, m := range matches {
			if len(m.Methods) == 0 {
				out = append(out, part{port, m})
			}
			for _, method := range m.Methods {
				one := m
				one.Methods = []string{method}
				out = append(out, part{port, one})
			}
		}
	}
	return out
}

// shadowedGateway reports a gateway's rule when, on every host, rules of the
// gateway before it take all that it leads to.
func (c *overModel) shadowedGateway() {
	for _, g := range c.mesh.Gateways {
		open := map[diag.Range]bool{} // rules that something may reach
		var hidden []shadow
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				hidden = append(hidden, shadows(h.Routes, open)...)
			}
		}
		for _, s := range hidden {
			if !open[s.this.at] {
				c.reportShadow("gateway route", s.this, s.by)
				open[s.this.at] = true // once
			}
		}
	}
}

// shadow is a rule that another one hides on some host.
type shadow struct {
	this candidate
	by   *candidate
}

// shadows looks at one table. Rules of which something is left are noted in
// open. On one listener the backend's port says nothing about the request, so
// it does not count.
func shadows(table []*model.GatewayRoute, open map[diag.Range]bool) []shadow {
	var hidden []shadow
	var earlier []candidate // of other rules
	var own []candidate     // of the rule at hand
	for i, r := range table {
		if i > 0 && table[i-1].Origin != r.Origin {
			earlier, own = append(earlier, own...), nil
		}
		this := candidate{parts(&model.Route{Ports: []uint16{0}, Match: r.Route.Match}), ruleName(r), r.Origin}
		if r.Route.NotFound { // no rule that somebody wrote, but it takes requests
			own = append(own, this)
			continue
		}
		if by := takenBy(this, earlier); by != nil {
			hidden = append(hidden, shadow{this, by})
		} else {
			open[r.Origin] = true
		}
		own = append(own, this)
	}
	return hidden
}
