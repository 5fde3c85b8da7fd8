package xds

import (
	"fmt"
	"net"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	xffv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/xff/v3"
	"google.golang.org/protobuf/proto"
)

// boundTo puts the port of at on another address; "" leaves it where it is.
func boundTo(bind, at string) (string, error) {
	if bind == "" {
		return at, nil
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		return "", fmt.Errorf("address of a listener: %w", err)
	}
	return net.JoinHostPort(bind, port), nil
}

// believe gives connections from networks chains of their own, which go by what
// x-forwarded-for and x-forwarded-proto say. One connection manager could not
// tell them apart: without use_remote_address it would believe anybody's
// x-forwarded-proto.
func believe(l *listenerv3.Listener, networks []string) error {
	if len(networks) == 0 {
		return nil
	}
	ranges, err := cidrRanges(networks)
	if err != nil {
		return err
	}
	for _, c := range l.GetFilterChains() {
		trusted := proto.CloneOf(c)
		trusted.Name = c.GetName() + "|trusted"
		if trusted.FilterChainMatch == nil {
			trusted.FilterChainMatch = &listenerv3.FilterChainMatch{}
		}
		trusted.FilterChainMatch.SourcePrefixRanges = ranges
		if err := believing(trusted.GetFilters()[0], ranges); err != nil {
			return err
		}
		l.FilterChains = append(l.FilterChains, trusted)
	}
	return nil
}

// believing has a connection manager take the client's address from
// x-forwarded-for.
func believing(f *listenerv3.Filter, ranges []*corev3.CidrRange) error {
	hcm := &hcmv3.HttpConnectionManager{}
	if err := f.GetTypedConfig().UnmarshalTo(hcm); err != nil {
		return err
	}
	detect, err := toAny(&xffv3.XffConfig{XffTrustedCidrs: &xffv3.XffTrustedCidrs{Cidrs: ranges}, SkipXffAppend: boolValue(false)})
	if err != nil {
		return err
	}
	hcm.UseRemoteAddress = boolValue(false)
	hcm.OriginalIpDetectionExtensions = []*corev3.TypedExtensionConfig{{Name: "envoy.http.original_ip_detection.xff", TypedConfig: detect}}
	packed, err := toAny(hcm)
	if err != nil {
		return err
	}
	f.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: packed}
	return nil
}
