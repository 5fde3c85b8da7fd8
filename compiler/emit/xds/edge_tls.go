package xds

import (
	"fmt"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshc/meshc/compiler/model"
)

// setListenerTLS gives a plaintext listener one chain per certificate, which the
// client's server name chooses.
func setListenerTLS(l *listenerv3.Listener, t *model.ListenerTLS) error {
	filters := l.GetFilterChains()[0].GetFilters()
	l.FilterChains = nil
	named, seen := false, map[string]bool{}
	for i := range t.Certificates {
		cert := &t.Certificates[i]
		socket, err := transportSocket(edgeTLS(t, cert))
		if err != nil {
			return err
		}
		chain := &listenerv3.FilterChain{Name: cert.CertificateName(), Filters: filters, TransportSocket: socket}
		if seen[chain.Name] { // for other names: what counts by chain needs to tell them apart
			chain.Name += "|" + strings.Join(cert.Hosts, ",")
		}
		seen[chain.Name] = true
		if len(cert.Hosts) > 0 {
			chain.FilterChainMatch, named = &listenerv3.FilterChainMatch{ServerNames: cert.Hosts}, true
		}
		l.FilterChains = append(l.FilterChains, chain)
	}
	var err error
	if named {
		l.ListenerFilters, err = tlsInspector()
	}
	return err
}

// edgeTLS shows one certificate to clients from outside the mesh. Sessions are
// not resumed: a ticket would let a client back in after its authority is gone.
func edgeTLS(t *model.ListenerTLS, cert *model.Certificate) *tlsv3.DownstreamTlsContext {
	common := &tlsv3.CommonTlsContext{
		TlsParams: &tlsv3.TlsParameters{
			TlsMinimumProtocolVersion: tlsVersions[t.MinVersion],
			TlsMaximumProtocolVersion: tlsVersions[t.MaxVersion],
			CipherSuites:              t.Ciphers,
		},
		AlpnProtocols:                  []string{"h2", "http/1.1"},
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{agentSecret(cert.CertificateName())},
	}
	out := &tlsv3.DownstreamTlsContext{CommonTlsContext: common}
	if t.CA != nil {
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
			ValidationContextSdsSecretConfig: agentSecret(t.CA.AuthoritiesName()),
		}
		if len(t.Pins) > 0 {
			vouchedFor(common, &tlsv3.CertificateValidationContext{VerifyCertificateSpki: t.Pins}, t.CA)
		}
		out.RequireClientCertificate = boolValue(t.Mode == model.TLSMutual)
		out.SessionTicketKeysType = &tlsv3.DownstreamTlsContext_DisableStatelessSessionResumption{DisableStatelessSessionResumption: true}
		out.DisableStatefulSessionResumption = true
	}
	return out
}

var tlsVersions = map[model.TLSVersion]tlsv3.TlsParameters_TlsProtocol{
	model.TLS12: tlsv3.TlsParameters_TLSv1_2,
	model.TLS13: tlsv3.TlsParameters_TLSv1_3,
}

// redirectAll answers every request.
func (e *emitter) redirectAll(l *model.GatewayListener) *routev3.Route {
	return &routev3.Route{
		Name:     fmt.Sprintf("%s/https", l.Name),
		Match:    &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action:   &routev3.Route_Redirect{Redirect: redirect(l.Redirect)},
		Metadata: e.metadata(l.Origin, ""),
	}
}
