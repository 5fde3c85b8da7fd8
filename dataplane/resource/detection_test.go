package resource

import (
	"fmt"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// detecting has a connection manager detect the client's address as config says.
func detecting(config string) string {
	return rds + `"original_ip_detection_extensions": [{"name": "xff", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"` + config + `}}],`
}

const trusting = `, "skip_xff_append": false, "xff_trusted_cidrs": {"cidrs": [{"address_prefix": "10.1.2.3", "prefix_len": 8}, {"address_prefix": "2001:db8::", "prefix_len": 32}]}`

func TestTrustedNetworks(t *testing.T) {
	r, err := FromProto(listenerWith(t, detecting(trusting)))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.(*Listener).Chains[0].HTTP.Trusted); got != "[10.0.0.0/8 2001:db8::/32]" {
		t.Errorf("believes %s", got)
	}
	for manager, want := range map[string]string{
		detecting(trusting) + `"use_remote_address": true,`:                                                                         "original_ip_detection_extensions: not with use_remote_address",
		detecting(strings.Replace(trusting, "false", "true", 1)):                                                                    "skip_xff_append",
		detecting(strings.Replace(trusting, `, "skip_xff_append": false`, "", 1)):                                                   "skip_xff_append",
		detecting(`, "skip_xff_append": false`):                                                                                     "xff_trusted_cidrs",
		detecting(`, "skip_xff_append": false, "xff_num_trusted_hops": 1`):                                                          "xff_num_trusted_hops: field is not supported",
		detecting(`, "skip_xff_append": false, "xff_trusted_cidrs": {"cidrs": [{"address_prefix": "10.0.0.0", "prefix_len": 33}]}`): "cidrs[0]: 10.0.0.0/33 is not a network",
	} {
		if _, err := FromProto(listenerWith(t, manager)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to name %q", manager, err, want)
		}
	}
}

// TestChainsByNetwork: a chain for some clients stands beside one for all, and not
// beside another for the same.
func TestChainsByNetwork(t *testing.T) {
	from := func(networks ...string) *listenerv3.FilterChainMatch {
		m := &listenerv3.FilterChainMatch{TransportProtocol: "tls"}
		for _, n := range networks {
			m.SourcePrefixRanges = append(m.SourcePrefixRanges, &corev3.CidrRange{AddressPrefix: n, PrefixLen: wrapperspb.UInt32(8)})
		}
		return m
	}
	l := listenerWith(t, rds)
	l.FilterChains[0].FilterChainMatch = from("10.0.0.0", "11.0.0.0")
	r, err := FromProto(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.(*Listener).Chains {
		if want := map[string]string{"plain": "[10.0.0.0/8 11.0.0.0/8]", "tls": "[]"}[c.Name]; fmt.Sprint(c.Sources) != want {
			t.Errorf("%s is for %v, want %s", c.Name, c.Sources, want)
		}
	}
	for network, want := range map[string]string{"11.255.0.0": "the same clients", "x": "source_prefix_ranges[0]: x/8 is not a network"} {
		l.FilterChains[1].FilterChainMatch = from(network)
		if _, err := FromProto(l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to name %q", network, err, want)
		}
	}
}
