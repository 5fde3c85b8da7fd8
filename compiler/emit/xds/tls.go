package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/model"
)

const tlsSocket = "envoy.transport_sockets.tls"

// bundle says where the trust bundle comes from.
func (e *emitter) bundle() *tlsv3.SdsSecretConfig {
	if e.opts.Static {
		return agentSecret(RootSecret)
	}
	name := BundleName(e.mesh.TrustDomain)
	e.useBundle(name)
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: overADS()}
}

// mutualTLS presents the workload's identity and accepts a peer whose
// certificate chains to bundle and holds a URI SAN that one of peers matches.
func mutualTLS(bundle *tlsv3.SdsSecretConfig, protocols []string, peers ...*matcherv3.StringMatcher) *tlsv3.CommonTlsContext {
	var names []*tlsv3.SubjectAltNameMatcher
	for _, p := range peers {
		names = append(names, &tlsv3.SubjectAltNameMatcher{SanType: tlsv3.SubjectAltNameMatcher_URI, Matcher: p})
	}
	return &tlsv3.CommonTlsContext{
		TlsParams:                      &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		AlpnProtocols:                  protocols,
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{agentSecret(IdentitySecret)},
		ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext:         &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: names},
				ValidationContextSdsSecretConfig: bundle,
			},
		},
	}
}

// clientTLS reaches a server that is spiffeID, in the trust domain or in an alias
// of it, and no other.
func (e *emitter) clientTLS(spiffeID, sni string, p model.Protocol) (*corev3.TransportSocket, error) {
	var server []*matcherv3.StringMatcher
	for _, id := range model.Aliased(spiffeID, e.mesh.Aliases) {
		server = append(server, exactly(id))
	}
	return transportSocket(&tlsv3.UpstreamTlsContext{
		CommonTlsContext: mutualTLS(e.bundle(), alpn(p), server...),
		Sni:              sni,
	})
}

// serverTLS takes these peers; without any, clients of the mesh's own trust
// domain and of its aliases. Which of them may do what is the RBAC filter's business.
func (e *emitter) serverTLS(p model.Protocol, peers ...*matcherv3.StringMatcher) (*corev3.TransportSocket, error) {
	if len(peers) == 0 {
		for _, domain := range model.Aliased("spiffe://"+e.mesh.TrustDomain+"/", e.mesh.Aliases) {
			peers = append(peers, startsWith(domain))
		}
	}
	return transportSocket(&tlsv3.DownstreamTlsContext{
		CommonTlsContext:         mutualTLS(e.bundle(), alpn(p), peers...),
		RequireClientCertificate: boolValue(true),
	})
}

// grpcTLS is what grpc-go reads of a TLS context (gRFC A29): certificate
// providers by name instead of SDS, no tls_params, and only the untyped SAN
// list, which it compares with URI SANs too.
func grpcTLS(spiffeID string) (*corev3.TransportSocket, error) {
	provider := &tlsv3.CertificateProviderPluginInstance{InstanceName: GRPCProvider}
	validation := &tlsv3.CertificateValidationContext{CaCertificateProviderInstance: provider}
	//lint:ignore SA1019 grpc-go v1.85 does not read match_typed_subject_alt_names
	validation.MatchSubjectAltNames = []*matcherv3.StringMatcher{exactly(spiffeID)}
	return transportSocket(&tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsCertificateProviderInstance: provider,
		ValidationContextType:          &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: validation},
	}})
}

func transportSocket(ctx proto.Message) (*corev3.TransportSocket, error) {
	packed, err := toAny(ctx)
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{
		Name:       tlsSocket,
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed},
	}, nil
}
