package check

import (
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
)

// audit judges what is logged as audited.
func (o *ruleOwner) audit() {
	for _, r := range o.sec.Audit {
		if o.rule(r, "audits") {
			o.denyIdentities(r, "audits", "audited")
		}
	}
	if len(o.sec.Audit) == 0 {
		return
	}
	log := o.logIn()
	if log == nil {
		return
	}
	off := log.Off != nil && log.Off.V
	switch {
	case off:
		d := o.report(diag.AuditUnseen, o.sec.Audit[0].At, "%s %q audits requests, and its access log is off: only counters say so", o.kind, o.name)
		d.Related = []diag.Related{{Range: log.Off.At, Message: "the access log"}}
		d.Help = "write an access log, or take the rule away"
	case log.Text != nil && !strings.Contains(log.Text.V, literal.AuditKey):
		d := o.report(diag.AuditUnseen, o.sec.Audit[0].At, "%s %q audits requests, and a line of its access log does not say which", o.kind, o.name)
		d.Related = []diag.Related{{Range: log.Text.At, Message: "the line"}}
		d.Help = "write `%DYNAMIC_METADATA(envoy.filters.http.rbac:" + literal.AuditKey + ")%` in it, or `fields` in its place"
	}
}

// logIn is the access log that the owner's proxies write: its own, else the
// mesh's; nil for the built-in one.
func (o *ruleOwner) logIn() *intent.AccessLog {
	var own *intent.Telemetry
	if o.service != nil {
		own = o.service.Telemetry
	}
	for _, g := range o.mesh.Gateways {
		if g.Security == o.sec {
			own = g.Telemetry
		}
	}
	for _, t := range []*intent.Telemetry{own, o.mesh.Config.Telemetry} {
		if t != nil && t.AccessLog != nil {
			return t.AccessLog
		}
	}
	return nil
}
