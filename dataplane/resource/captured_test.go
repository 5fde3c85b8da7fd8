package resource

import (
	"fmt"
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

const (
	inspector = `{"name": "i", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}%s}`
	original  = `{"name": "o", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"}%s}`
	disabled  = `, "filter_disabled": {"not_match": %s}`
	portRange = `{"destination_port_range": {"start": %d, "end": %d}}`
)

// capturedWith is a listener with these listener filters, and more of itself.
func capturedWith(t *testing.T, filters, more string) *listenerv3.Listener {
	t.Helper()
	chain := `{"filter_chain_match": {"destination_port": %d}, "filters": [` + fmt.Sprintf(managerJSON, rds) + `]}`
	return parse(t, new(listenerv3.Listener), `{"name": "in", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15006}},
 "listener_filters": [`+filters+`], `+more+` "filter_chains": [`+fmt.Sprintf(chain, 80)+`, `+fmt.Sprintf(chain, 81)+`]}`)
}

func TestCapturedListener(t *testing.T) {
	one := fmt.Sprintf(inspector, fmt.Sprintf(disabled, fmt.Sprintf(portRange, 80, 81)))
	both := fmt.Sprintf(inspector, fmt.Sprintf(disabled, `{"or_match": {"rules": [`+fmt.Sprintf(portRange, 80, 81)+`, `+fmt.Sprintf(portRange, 81, 82)+`]}}`))
	plain := fmt.Sprintf(original, "")
	also := `"additional_addresses": [{"address": {"socket_address": {"address": "::", "port_value": 15006}}}], `
	for want, l := range map[string]*listenerv3.Listener{
		"[[::]:15006] original inspected [80]":         capturedWith(t, plain+", "+one, also),
		"[] original inspected [80 81]":                capturedWith(t, plain+", "+both, ""),
		"[] original":                                  capturedWith(t, plain, ""),
		"[[::]:15006] original handing":                capturedWith(t, "", also+`"use_original_dst": true, `),
		"[[::]:15006] unbound inspected []":            capturedWith(t, fmt.Sprintf(inspector, ""), also+`"bind_to_port": false, `),
		"[[::]:15006] original handing inspected [80]": capturedWith(t, plain+", "+one, also+`"use_original_dst": true, "bind_to_port": true, `),
	} {
		r, err := FromProto(l)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		got := r.(*Listener)
		text := fmt.Sprint(got.Also)
		for _, is := range []struct {
			name string
			yes  bool
		}{{" unbound", got.Unbound}, {" original", got.OriginalDst}, {" handing", got.HandOn}} {
			if is.yes {
				text += is.name
			}
		}
		if got.InspectTLS {
			text += fmt.Sprint(" inspected ", got.InspectPorts)
		}
		if text != want || got.Chains[0].Port != 80 || got.Chains[1].Port != 81 {
			t.Errorf("got %s, want %s", text, want)
		}
		if bound := len(got.Bound()); got.Unbound != (bound == 0) {
			t.Errorf("%s: %d addresses are bound", want, bound)
		}
	}
}

func TestCapturedListenerIsRefused(t *testing.T) {
	plain, inspects := fmt.Sprintf(original, ""), fmt.Sprintf(inspector, "")
	not := func(p string) string { return fmt.Sprintf(inspector, fmt.Sprintf(disabled, p)) }
	for want, l := range map[string]*listenerv3.Listener{
		"behind the TLS inspector":               capturedWith(t, inspects+", "+plain, ""),
		"there is a TLS inspector already":       capturedWith(t, inspects+", "+inspects, ""),
		"does not hand them on":                  capturedWith(t, plain, `"bind_to_port": false, `),
		"supported of the TLS inspector only":    capturedWith(t, fmt.Sprintf(original, fmt.Sprintf(disabled, fmt.Sprintf(portRange, 80, 81))), ""),
		"80 to 90 is not one port":               capturedWith(t, not(fmt.Sprintf(portRange, 80, 90)), ""),
		"70000 to 70001 is not one port":         capturedWith(t, not(fmt.Sprintf(portRange, 70000, 70001)), ""),
		"supported is not_match of a":            capturedWith(t, fmt.Sprintf(inspector, `, "filter_disabled": `+fmt.Sprintf(portRange, 80, 81)), ""),
		"filter_disabled.not_match.any_match":    capturedWith(t, not(`{"any_match": true}`), ""),
		"additional_addresses[0]: address":       capturedWith(t, plain, `"additional_addresses": [{"address": {"socket_address": {"address": "a", "port_value": 1}}}], `),
		"additional_addresses[0].socket_options": capturedWith(t, plain, `"additional_addresses": [{"address": {"socket_address": {"address": "::", "port_value": 1}}, "socket_options": {}}], `),
	} {
		if _, err := FromProto(l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
	l := capturedWith(t, plain, "")
	l.FilterChains[1].FilterChainMatch = l.FilterChains[0].FilterChainMatch
	if _, err := FromProto(l); err == nil || !strings.Contains(err.Error(), "two chains match destination_port 80") {
		t.Errorf("two chains for a port: %v", err)
	}
}
