package resource

import (
	"errors"
	"fmt"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	xffv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/xff/v3"

	"github.com/meshc/meshc/dataplane/resource/support"
)

var detectionMessages = []support.Message{
	{Name: "envoy.extensions.http.original_ip_detection.xff.v3.XffConfig", Fields: []support.Field{
		support.F("xff_trusted_cidrs", "required"),
		support.F("skip_xff_append", "required, and false"),
	}},
	{Name: "envoy.extensions.http.original_ip_detection.xff.v3.XffTrustedCidrs", Fields: []support.Field{
		support.F("cidrs", "at least one"),
	}},
}

// believed gives the networks whose x-forwarded-for says who the client is.
func believed(m *hcmv3.HttpConnectionManager) ([]netip.Prefix, error) {
	list := m.GetOriginalIpDetectionExtensions()
	switch {
	case len(list) == 0:
		return nil, nil
	case len(list) > 1:
		return nil, errors.New("only one is supported")
	case m.GetUseRemoteAddress().GetValue():
		return nil, errors.New("not with use_remote_address")
	}
	config, err := list[0].GetTypedConfig().UnmarshalNew()
	if err != nil {
		return nil, err
	}
	xff, ok := config.(*xffv3.XffConfig)
	if !ok {
		return nil, fmt.Errorf("%s is not supported", config.ProtoReflect().Descriptor().FullName())
	}
	if skip := xff.GetSkipXffAppend(); skip == nil || skip.GetValue() {
		return nil, errors.New("skip_xff_append: only false is supported, and must be written")
	}
	if len(xff.GetXffTrustedCidrs().GetCidrs()) == 0 {
		return nil, errors.New("xff_trusted_cidrs: cidrs: at least one is needed")
	}
	out, err := networks(xff.GetXffTrustedCidrs().GetCidrs())
	if err != nil {
		return nil, fmt.Errorf("xff_trusted_cidrs: cidrs%w", err)
	}
	return out, nil
}

// networks reads a list of networks; the error begins with the index of the one
// that is none.
func networks(list []*corev3.CidrRange) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for i, c := range list {
		ip, err := netip.ParseAddr(c.GetAddressPrefix())
		bits := c.GetPrefixLen().GetValue() // absent is 0: every address of the family
		if err != nil || ip.Zone() != "" || bits > uint32(ip.BitLen()) {
			return nil, fmt.Errorf("[%d]: %s/%d is not a network", i, c.GetAddressPrefix(), bits)
		}
		out = append(out, netip.PrefixFrom(ip, int(bits)).Masked())
	}
	return out, nil
}
