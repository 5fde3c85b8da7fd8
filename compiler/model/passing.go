package model

import (
	"slices"
	"strings"
	"time"
)

// CORS is what browsers are told about pages of other origins.
type CORS struct {
	Origins       []NamedMatch // any-of; without names
	Methods       []string
	Headers       []string
	ExposeHeaders []string
	MaxAge        time.Duration // whole seconds; HasMaxAge says whether it was written
	HasMaxAge     bool
	Credentials   bool
	Origin        Origin
}

// Passing is what r does with requests beside sending them on, for people to
// read.
func (r *Route) Passing() []Setting {
	var out []Setting
	if k := r.Sticky; k != nil {
		out = append(out, Setting{"sticky", k.String(), k.Origin})
	}
	for _, m := range r.Mirror {
		share := Hundredths(m.BasisPoints) + " %"
		if m.Elsewhere() {
			share += " to " + m.Host
		}
		out = append(out, Setting{"mirror[" + m.Target() + "]", share, m.Origin})
	}
	if len(r.Upgrades) > 0 {
		out = append(out, Setting{"upgrades", strings.Join(r.Upgrades, ", "), r.Origin})
	}
	return append(out, r.CORS.settings()...)
}

func (c *CORS) settings() []Setting {
	if c == nil {
		return nil
	}
	var origins []string
	for _, o := range c.Origins {
		origins = append(origins, string(o.Kind)+" "+o.Value)
	}
	out := []Setting{{"cors.origins", strings.Join(origins, ", "), c.Origin}}
	add := func(name, value string) {
		if value != "" {
			out = append(out, Setting{name, value, c.Origin})
		}
	}
	add("cors.methods", strings.Join(c.Methods, ", "))
	add("cors.headers", strings.Join(c.Headers, ", "))
	add("cors.exposeHeaders", strings.Join(c.ExposeHeaders, ", "))
	if c.HasMaxAge {
		add("cors.maxAge", c.MaxAge.String())
	}
	if c.Credentials {
		add("cors.credentials", "true")
	}
	return out
}

// Upgrades says that some route of s on port lets clients turn connections into
// another protocol; these, sorted.
func (s *Service) Upgrades(port uint16) []string {
	var out []string
	for _, r := range s.Routes {
		if slices.Contains(r.Ports, port) {
			out = append(out, r.Upgrades...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
