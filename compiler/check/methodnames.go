package check

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// registeredMethods are those of the registry of HTTP methods (RFC 9110 section
// 16.1, https://www.iana.org/assignments/http-methods), but for CONNECT, which is
// not routed, and PRI, which no request has.
var registeredMethods = []string{
	"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "DELETE", "GET", "HEAD", "LABEL", "LINK", "LOCK",
	"MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "OPTIONS", "ORDERPATCH", "PATCH",
	"POST", "PROPFIND", "PROPPATCH", "PUT", "QUERY", "REBIND", "REPORT", "SEARCH", "TRACE", "UNBIND", "UNCHECKOUT", "UNLINK",
	"UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
}

// unusualMethod warns of a method that is one mistake away from a registered one.
// Others are somebody's own: the registry is open.
func (c *overIntent) unusualMethod(m intent.Value[string], beside []intent.Value[string]) {
	if slices.Contains(registeredMethods, m.V) {
		return
	}
	meant, ok := diag.MeantWord(m.V, registeredMethods)
	if !ok {
		return
	}
	d := c.report(diag.UnusualMethod, m.At, "%q is a method that nobody registered, and close to %s", m.V, meant)
	d.Help = fmt.Sprintf("did you mean %q? If not: @meshc(ignore=%s, reason=\"...\")", meant, diag.UnusualMethod)
	if !listed(beside, meant) {
		d.WithChoice(fmt.Sprintf("write %q", meant), diag.Edit{Op: diag.SetText, Range: m.At, Old: m.V, New: meant})
	}
}
