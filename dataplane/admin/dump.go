package admin

import (
	"fmt"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/dataplane/resource"
)

// redacted stands where a private key would.
const redacted = "[redacted]"

// Serving is the configuration in force, as it came.
type Serving struct {
	Bootstrap *bootstrapv3.Bootstrap
	Resources []*discoveryv3.Resource // over xDS
	// CertificatePEM is the proxy's own chain; nil: no identity. The bundle
	// is its trust bundle.
	CertificatePEM, BundlePEM []byte
}

// Dump gives Envoy's config dump of s as JSON: the sections bootstrap,
// clusters, listeners, routes, endpoints and secrets, in that order.
func Dump(s Serving) ([]byte, error) {
	sections := []proto.Message{
		&adminv3.BootstrapConfigDump{Bootstrap: s.Bootstrap},
		clusters(s), listeners(s), routes(s), endpoints(s),
	}
	secrets, err := secrets(s)
	if err != nil {
		return nil, fmt.Errorf("config dump: %w", err)
	}
	dump := new(adminv3.ConfigDump)
	for _, section := range append(sections, secrets) {
		packed, err := anypb.New(section)
		if err != nil {
			return nil, fmt.Errorf("config dump: %w", err)
		}
		dump.Configs = append(dump.Configs, packed)
	}
	return protojson.MarshalOptions{Multiline: true, Indent: " ", UseProtoNames: true}.Marshal(dump)
}

func ofType(s Serving, url string) []*discoveryv3.Resource {
	var out []*discoveryv3.Resource
	for _, r := range s.Resources {
		if r.GetResource().GetTypeUrl() == url {
			out = append(out, r)
		}
	}
	return out
}

func clusters(s Serving) proto.Message {
	out := new(adminv3.ClustersConfigDump)
	for _, c := range s.Bootstrap.GetStaticResources().GetClusters() {
		if packed, err := anypb.New(c); err == nil {
			out.StaticClusters = append(out.StaticClusters, &adminv3.ClustersConfigDump_StaticCluster{Cluster: packed})
		}
	}
	for _, r := range ofType(s, resource.ClusterType) {
		out.DynamicActiveClusters = append(out.DynamicActiveClusters, &adminv3.ClustersConfigDump_DynamicCluster{
			VersionInfo: r.GetVersion(), Cluster: r.GetResource(), ClientStatus: adminv3.ClientResourceStatus_ACKED,
		})
	}
	return out
}

func listeners(s Serving) proto.Message {
	out := new(adminv3.ListenersConfigDump)
	for _, l := range s.Bootstrap.GetStaticResources().GetListeners() {
		if packed, err := anypb.New(l); err == nil {
			out.StaticListeners = append(out.StaticListeners, &adminv3.ListenersConfigDump_StaticListener{Listener: packed})
		}
	}
	for _, r := range ofType(s, resource.ListenerType) {
		out.DynamicListeners = append(out.DynamicListeners, &adminv3.ListenersConfigDump_DynamicListener{
			Name:         r.GetName(),
			ActiveState:  &adminv3.ListenersConfigDump_DynamicListenerState{VersionInfo: r.GetVersion(), Listener: r.GetResource()},
			ClientStatus: adminv3.ClientResourceStatus_ACKED,
		})
	}
	return out
}

func routes(s Serving) proto.Message {
	out := new(adminv3.RoutesConfigDump)
	for _, r := range ofType(s, resource.RouteType) {
		out.DynamicRouteConfigs = append(out.DynamicRouteConfigs, &adminv3.RoutesConfigDump_DynamicRouteConfig{
			VersionInfo: r.GetVersion(), RouteConfig: r.GetResource(), ClientStatus: adminv3.ClientResourceStatus_ACKED,
		})
	}
	return out
}

func endpoints(s Serving) proto.Message {
	out := new(adminv3.EndpointsConfigDump)
	for _, r := range ofType(s, resource.EndpointsType) {
		out.DynamicEndpointConfigs = append(out.DynamicEndpointConfigs, &adminv3.EndpointsConfigDump_DynamicEndpointConfig{
			VersionInfo: r.GetVersion(), EndpointConfig: r.GetResource(), ClientStatus: adminv3.ClientResourceStatus_ACKED,
		})
	}
	return out
}

func secrets(s Serving) (proto.Message, error) {
	out := new(adminv3.SecretsConfigDump)
	add := func(name, version string, packed *anypb.Any) {
		out.DynamicActiveSecrets = append(out.DynamicActiveSecrets, &adminv3.SecretsConfigDump_DynamicSecret{
			Name: name, VersionInfo: version, Secret: packed, ClientStatus: adminv3.ClientResourceStatus_ACKED,
		})
	}
	for _, r := range ofType(s, resource.SecretType) {
		add(r.GetName(), r.GetVersion(), r.GetResource())
	}
	if s.CertificatePEM == nil {
		return out, nil
	}
	for _, own := range []*tlsv3.Secret{ownCertificate(s), ownBundle(s)} {
		packed, err := anypb.New(own)
		if err != nil {
			return nil, err
		}
		add(own.GetName(), "", packed)
	}
	return out, nil
}

func ownCertificate(s Serving) *tlsv3.Secret {
	return &tlsv3.Secret{Name: resource.IdentitySecret, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: s.CertificatePEM}},
		PrivateKey:       &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: redacted}},
	}}}
}

func ownBundle(s Serving) *tlsv3.Secret {
	return &tlsv3.Secret{Name: resource.RootSecret, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
		TrustedCa: &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: s.BundlePEM}},
	}}}
}
