package check

import (
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// hostCondition refuses text that no host name holds: the port is taken off
// before the host is compared.
func (c *overIntent) hostCondition(h *intent.NamedMatch) {
	if h == nil {
		return
	}
	value := h.Value.V
	switch {
	case h.Kind.V == string(model.Regex):
		c.regex(h.Value)
	case value == "":
		c.report(diag.BadHost, h.Value.At, "a host is never empty")
	case strings.Contains(value, ":"):
		c.report(diag.BadHost, h.Value.At, "%q holds a \":\": hosts are compared without their port", value)
	case strings.Trim(strings.ToLower(value), "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "":
		c.report(diag.BadHost, h.Value.At, "%q holds what no host name holds", value)
	}
}
