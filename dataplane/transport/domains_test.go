package transport

import (
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// A root is taken for the trust domain of its own SPIFFE ID only.
func TestRootsOfSeveralTrustDomains(t *testing.T) {
	inline := func(pem []byte) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: pem}}
	}
	key := newKey(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), URIs: []*url.URL{{Scheme: "spiffe", Host: "old.example"}},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sign(t, tmpl, tmpl, key.Public(), key).Raw})
	for name, c := range map[string]struct {
		config *tlsv3.SPIFFECertValidatorConfig
		err    string
	}{
		"fine":       {&tlsv3.SPIFFECertValidatorConfig{TrustDomains: []*tlsv3.SPIFFECertValidatorConfig_TrustDomain{{Name: "old.example", TrustBundle: inline(root)}}}, ""},
		"of another": {&tlsv3.SPIFFECertValidatorConfig{TrustDomains: []*tlsv3.SPIFFECertValidatorConfig_TrustDomain{{Name: "new.example", TrustBundle: inline(root)}}}, "not of"},
		"none":       {&tlsv3.SPIFFECertValidatorConfig{}, "none"},
		"empty":      {&tlsv3.SPIFFECertValidatorConfig{TrustDomains: []*tlsv3.SPIFFECertValidatorConfig_TrustDomain{{Name: "old.example"}}}, "trust_bundle"},
		"a map":      {&tlsv3.SPIFFECertValidatorConfig{TrustBundles: inline(root)}, "trust_bundles is not supported"},
	} {
		packed, err := anypb.New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = BundleFromSecret(&tlsv3.Secret{Name: "bundle|new.example", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			CustomValidatorConfig: &corev3.TypedExtensionConfig{Name: "spiffe", TypedConfig: packed},
		}}})
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
	}
}
