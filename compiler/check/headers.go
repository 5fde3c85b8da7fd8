package check

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// headerToken is a field name (RFC 9110 section 5.1), in lower case.
var headerToken = regexp.MustCompile("^[a-z0-9!#$%&'*+.^_`|~-]+$")

// hopByHop fields belong to one connection (RFC 9110 section 7.6.1): the proxy
// takes them out before it routes and writes its own.
var hopByHop = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-connection": true, "te": true,
	"trailer": true, "transfer-encoding": true, "upgrade": true,
}

// unusableHeader says why intent may not speak of a header, or "".
func unusableHeader(name string) string {
	switch {
	case strings.HasPrefix(name, ":"):
		return "it is a pseudo-header; use `path` or `methods`"
	case !headerToken.MatchString(name):
		return "it is not a header name"
	case name == "host":
		return "the host chooses the service before routes are asked"
	case hopByHop[name]:
		return "it belongs to one connection and ends at the proxy"
	}
	return ""
}

// unchangeableHeader says why intent may not change a header, or "".
func unchangeableHeader(name string) string {
	if name == "content-length" {
		return "it says where the body ends"
	}
	return unusableHeader(name)
}

func (c *overIntent) headers() {
	for _, s := range c.in.services {
		for _, r := range s.Routes {
			c.headerOps(r.RequestHeaders)
			c.headerOps(r.ResponseHeaders)
			c.headersVain(r)
		}
	}
}

// headersVain finds changes of destinations that their route leaves no trace of.
func (c *overIntent) headersVain(r *intent.Route) {
	for _, d := range r.Destinations {
		c.undone(r.Name.V, d.RequestHeaders, r.RequestHeaders)
		c.undone(r.Name.V, d.ResponseHeaders, r.ResponseHeaders)
	}
}

// removedAndSet finds removals of what is set: headers are removed first
// (HeaderParser::evaluateHeaders in Envoy), and `set` replaces what there is.
func (c *overIntent) removedAndSet(h *intent.HeaderOps) {
	for _, name := range h.Remove {
		if set := setting(h, name.V); set != nil {
			d := c.report(diag.HeaderChangeVain, name.At, "header %q is removed and then set, which replaces it anyway", name.V)
			d.Related = []diag.Related{{Range: set.Key.At, Message: "set here"}}
			d.WithFix("take the removal away", diag.Edit{Op: diag.RemoveElement, Range: name.At})
		}
	}
}

// undone finds what a destination does to headers that its route sets or removes
// after it (RouteEntryImplBase::WeightedClusterEntry in Envoy).
func (c *overIntent) undone(route string, first, then *intent.HeaderOps) {
	if first == nil || then == nil {
		return
	}
	var names []intent.Value[string]
	for _, kv := range slices.Concat(first.Set, first.Add) {
		names = append(names, kv.Key)
	}
	for _, name := range append(names, first.Remove...) {
		var at diag.Range
		if set := setting(then, name.V); set != nil {
			at = set.Key.At
		} else if i := slices.IndexFunc(then.Remove, func(v intent.Value[string]) bool { return strings.EqualFold(v.V, name.V) }); i >= 0 {
			at = then.Remove[i].At
		} else {
			continue
		}
		d := c.report(diag.HeaderChangeVain, name.At, "route %q sets or removes header %q after its destinations, so this change makes no difference", route, name.V)
		d.Related = []diag.Related{{Range: at, Message: "the route's"}}
	}
}

// setting is where a header is set, nil where it is not.
func setting(h *intent.HeaderOps, name string) *intent.KV {
	if i := slices.IndexFunc(h.Set, func(kv *intent.KV) bool { return strings.EqualFold(kv.Key.V, name) }); i >= 0 {
		return h.Set[i]
	}
	return nil
}

func (c *overIntent) headerOps(h *intent.HeaderOps) {
	if h == nil {
		return
	}
	set := map[string]bool{}
	for _, kv := range h.Set {
		c.headerChange(kv.Key, "set")
		c.headerValue(kv)
		if name := strings.ToLower(kv.Key.V); set[name] {
			c.report(diag.BadHeader, kv.Key.At, "header %q is set twice", name).Help = "use `add` for a second value"
		}
		set[strings.ToLower(kv.Key.V)] = true
	}
	for _, kv := range h.Add {
		c.headerChange(kv.Key, "added")
		c.headerValue(kv)
	}
	for _, name := range h.Remove {
		c.headerChange(name, "removed")
	}
	c.removedAndSet(h)
}

func (c *overIntent) headerChange(name intent.Value[string], verb string) {
	if why := unchangeableHeader(strings.ToLower(name.V)); why != "" {
		c.report(diag.BadHeader, name.At, "header %q cannot be %s: %s", name.V, verb, why)
	}
}

// headerValue follows RFC 9110 section 5.5: no control characters, and no
// space at either end, which a receiver would take away.
func (c *overIntent) headerValue(kv *intent.KV) {
	v := kv.Value.V
	control := strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
	switch {
	case control:
		c.report(diag.BadHeader, kv.Value.At, "the value of header %q holds a control character", kv.Key.V)
	case v == "" || strings.Trim(v, " \t") != v:
		d := c.report(diag.BadHeader, kv.Value.At, "the value of header %q is empty, or begins or ends with a space", kv.Key.V)
		if trimmed := strings.Trim(v, " \t"); trimmed != "" {
			writeText(d, kv.Value, trimmed)
		}
	}
}
