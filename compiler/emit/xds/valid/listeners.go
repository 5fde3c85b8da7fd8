package valid

import (
	"fmt"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
)

// listeners have an address and chains, of which no two are for the same
// connections; one for an application that reads xDS itself has neither.
func listeners(l *listenerv3.Listener) []error {
	if l.GetApiListener() != nil {
		if len(l.GetFilterChains()) > 0 || l.GetAddress() != nil {
			return some(fmt.Errorf("an API listener has neither an address nor filter chains"))
		}
		return nil
	}
	out := some(boundAt(l.GetAddress()))
	if len(l.GetFilterChains()) == 0 && l.GetDefaultFilterChain() == nil {
		out = append(out, fmt.Errorf("it has no filter chain"))
	}
	names, matches := map[string]bool{}, map[string]int{}
	for i, c := range l.GetFilterChains() {
		if c.GetName() != "" && names[c.GetName()] {
			out = append(out, fmt.Errorf("two filter chains are called %q", c.GetName()))
		}
		names[c.GetName()] = true
		key, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.GetFilterChainMatch())
		if err != nil {
			return append(out, err)
		}
		if other, taken := matches[string(key)]; taken && l.GetFilterChainMatcher() == nil {
			out = append(out, fmt.Errorf("filter chains %d and %d match the same connections", other, i))
		}
		matches[string(key)] = i
		if len(c.GetFilters()) == 0 {
			out = append(out, fmt.Errorf("filter chain %q has no filter", c.GetName()))
		}
	}
	return out
}

// boundAt: a listener resolves no names.
func boundAt(a *corev3.Address) error {
	if s := a.GetSocketAddress(); s != nil {
		if _, err := netip.ParseAddr(s.GetAddress()); err != nil {
			return fmt.Errorf("the address %q is no IP address", s.GetAddress())
		}
	}
	if a.GetAddress() == nil {
		return fmt.Errorf("it has no address")
	}
	return nil
}

const routerType = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"

// connectionManagers end in the router, which stands nowhere else, and name a
// filter once, as per-route settings go by its name.
func connectionManagers(h *hcmv3.HttpConnectionManager) []error {
	var out []error
	names := map[string]bool{}
	for i, f := range h.GetHttpFilters() {
		if names[f.GetName()] {
			out = append(out, fmt.Errorf("two HTTP filters are called %q", f.GetName()))
		}
		names[f.GetName()] = true
		if router, last := f.GetTypedConfig().GetTypeUrl() == routerType, i == len(h.GetHttpFilters())-1; router != last {
			out = append(out, fmt.Errorf("HTTP filter %q: the router is the last filter, and only it", f.GetName()))
		}
	}
	if len(h.GetHttpFilters()) == 0 {
		out = append(out, fmt.Errorf("it has no HTTP filter"))
	}
	if h.GetRouteSpecifier() == nil {
		out = append(out, fmt.Errorf("it has no routes"))
	}
	return out
}

// validationContexts look at names only of certificates that they can verify.
func validationContexts(c *tlsv3.CommonTlsContext) []error {
	v := c.GetValidationContext()
	if v == nil {
		return nil
	}
	//lint:ignore SA1019 grpc-go reads the untyped list only
	names := len(v.GetMatchTypedSubjectAltNames()) + len(v.GetMatchSubjectAltNames())
	if names > 0 && v.GetTrustedCa() == nil && v.GetCaCertificateProviderInstance() == nil && v.GetSystemRootCerts() == nil {
		return some(fmt.Errorf("it looks at names in certificates without a trusted CA"))
	}
	return nil
}
