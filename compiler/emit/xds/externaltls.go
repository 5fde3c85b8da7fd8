package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshc/meshc/compiler/model"
)

// externalSocket verifies the server's certificate, unless that is put off. A
// DNS name as exact matcher accepts the wildcards that RFC 6125 does.
func (e *emitter) externalSocket(t *model.ExternalTLS, p model.Protocol) (*corev3.TransportSocket, error) {
	common := &tlsv3.CommonTlsContext{
		TlsParams: &tlsv3.TlsParameters{
			TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2,
			TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3, // whatever the data plane's own default is
		},
		AlpnProtocols: alpn(p),
	}
	if t.MinVersion == "1.3" {
		common.TlsParams.TlsMinimumProtocolVersion = tlsv3.TlsParameters_TLSv1_3
	}
	if t.Insecure == nil || !e.opts.Now.Before(t.Insecure.Until) {
		validation := &tlsv3.CertificateValidationContext{}
		for _, name := range t.SANs {
			validation.MatchTypedSubjectAltNames = append(validation.MatchTypedSubjectAltNames, &tlsv3.SubjectAltNameMatcher{
				SanType: tlsv3.SubjectAltNameMatcher_DNS, Matcher: exactly(name),
			})
		}
		vouchedFor(common, validation, t.CA)
	} else { // said in so many words: a context that is missing may be a mistake
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{
			ValidationContext: &tlsv3.CertificateValidationContext{TrustChainVerification: tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED},
		}
	}
	if t.Certificate != nil {
		common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{agentSecret(t.Certificate.CertificateName())}
	}
	return transportSocket(&tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: t.SNI})
}

// vouchedFor says who vouches for the peers that validation takes: ca, by the
// agent beside the proxy, or the authorities of the machine.
func vouchedFor(common *tlsv3.CommonTlsContext, validation *tlsv3.CertificateValidationContext, ca *model.Secret) {
	if ca == nil {
		validation.TrustedCa = &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: model.SystemCA}}
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: validation}
		return
	}
	common.ValidationContextType = &tlsv3.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext:         validation,
			ValidationContextSdsSecretConfig: agentSecret(ca.AuthoritiesName()),
		},
	}
}
