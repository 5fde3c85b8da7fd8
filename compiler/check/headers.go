package check

import (
	"regexp"
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
		}
	}
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
