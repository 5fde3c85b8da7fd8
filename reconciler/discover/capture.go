package discover

import (
	"fmt"
	"net/netip"

	"github.com/meshc/meshc/compiler/model"
)

// checkCapture judges what is said of a pod whose connections are led to its
// proxy.
func checkCapture(w *model.Workload) []error {
	c := w.Capture
	if c == nil {
		return nil
	}
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("capture: "+format, args...)) }
	if w.Role != model.RoleSidecar {
		bad("it is for the role sidecar only")
	}
	if len(w.Outbound) > 0 {
		bad("outbound stands in capture, where the application calls addresses of services")
	}
	if len(c.Addresses) == 0 || len(c.Addresses) > 2 {
		bad("%d addresses: a pod has one, or one of each family", len(c.Addresses))
	}
	v4 := map[bool]bool{}
	for _, s := range c.Addresses {
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil || a.Zone() != "" || a.Is4In6() || a.IsUnspecified() || a.IsMulticast():
			bad("address %q is not that of a pod", s)
		case v4[a.Is4()]:
			bad("address %q: the pod has another of its family", s)
		default:
			v4[a.Is4()] = true
		}
	}
	own := map[string]uint16{}
	for port, at := range w.Inbound {
		if other, twice := own[at]; twice {
			bad("inbound %d and %d are both at %s: the proxy could not tell them apart", min(port, other), max(port, other), at)
		}
		own[at] = port
	}
	for key, list := range c.Outbound {
		if !outboundKey.MatchString(key) {
			bad(`outbound %q is not "namespace/name:port"`, key)
		}
		if len(list) == 0 {
			bad("outbound %q: no address", key)
		}
		for _, at := range list {
			if err := checkAddress(at); err != nil {
				bad("outbound %q: %w", key, err)
			}
		}
	}
	return errs
}
