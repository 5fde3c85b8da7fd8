package check

import (
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
)

// migrations: they end, and stand in place of a mode.
func (c *overIntent) migrations() {
	c.migration(c.mesh.Config.Migration, c.mesh.Config.MTLS, "the mesh")
	for _, s := range c.mesh.Services {
		own := s.Security
		if own == nil || own.Migration == nil {
			continue
		}
		owner := fmt.Sprintf("service %q", s.Name.V)
		c.migration(own.Migration, own.MTLS, owner)
		if own.MTLS == nil && len(own.Ports) >= len(s.Ports) {
			c.report(diag.MigrationUnused, own.Migration.At, "%s has no port without a mode of its own", owner).Help = "leave `migration` out"
		}
	}
}

func (c *overIntent) migration(m *intent.Migration, mode *intent.Value[string], owner string) {
	if m == nil {
		return
	}
	if _, err := literal.Time(m.Until.V); err != nil {
		c.report(diag.BadTime, m.Until.At, "%s: migration: %s", owner, err)
	}
	if mode != nil {
		d := c.report(diag.MigrationUnused, m.At, "%s writes `mtls` beside its migration", owner)
		d.Help = "leave one of them out: `migration` is permissive until it is done"
		d.Related = []diag.Related{{Range: mode.At, Message: "the mode"}}
	}
}

// migrationHorizon is how long before its end a migration is warned of.
const migrationHorizon = 30 * 24 * time.Hour

// openMigrations tells where each stands, one of the mesh once.
func (c *overModel) openMigrations() {
	said := map[diag.Range]bool{}
	for _, s := range c.mesh.Services {
		m := s.Migration
		if m == nil || said[m.Origin] {
			continue
		}
		said[m.Origin] = true
		code, when := diag.MigrationOpen, "until"
		switch left := m.Until.Sub(c.now); {
		case left <= 0:
			code, when = diag.MigrationOverdue, "although they were to be strict by"
		case left <= migrationHorizon:
			code, when = diag.MigrationEnds, "only until"
		}
		d := c.report(code, m.Origin, "ports of service %q take plaintext %s %s", s.Name, when, m.Until.Format(time.RFC3339))
		d.Help = "once no caller comes in plaintext, write `mtls: \"strict\"` in place of `migration`"
		for _, r := range s.Allow {
			if !r.Origin.IsZero() && r.TakesCaller(c.mesh.TrustDomain, "") {
				d.Related = append(d.Related, diag.Related{Range: r.Origin, Message: "this rule lets callers without an identity in"})
			}
		}
	}
}
