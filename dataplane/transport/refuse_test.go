package transport

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// rawSAN puts uri into the certificate as it stands, without a URL parser in
// between.
func rawSAN(t *testing.T, c *x509.Certificate, uri string) *x509.Certificate {
	t.Helper()
	der, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(uri)}})
	if err != nil {
		t.Fatal(err)
	}
	c.URIs = nil
	c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: der}}
	return c
}

func TestSANMatchers(t *testing.T) {
	cases := map[string]struct {
		matcher string
		id      string
		want    bool
	}{
		"exact":                        {`"exact":"` + cart + `"`, cart, true},
		"exact is not a prefix":        {`"exact":"` + cart + `"`, cart + "x", false},
		"exact minds case":             {`"exact":"` + strings.ToUpper(cart) + `"`, cart, false},
		"exact, case ignored":          {`"ignoreCase":true,"exact":"` + strings.ToUpper(cart) + `"`, cart, true},
		"prefix":                       {`"prefix":"spiffe://mesh.example/"`, cart, true},
		"prefix of another domain":     {`"prefix":"spiffe://mesh.example/"`, "spiffe://mesh.example.evil/ns/a/sa/b", false},
		"suffix":                       {`"suffix":"/sa/cart"`, cart, true},
		"suffix elsewhere":             {`"suffix":"/sa/cart"`, cart + "x", false},
		"contains":                     {`"contains":"/ns/shop/"`, cart, true},
		"contains not":                 {`"contains":"/ns/shop/"`, "spiffe://mesh.example/ns/shops/sa/x", false},
		"regex":                        {`"safeRegex":{"regex":"spiffe://mesh\\.example/ns/[a-z]+/sa/cart"}`, cart, true},
		"regex takes the whole string": {`"safeRegex":{"regex":"/ns/shop"}`, cart, false},
		"alternatives stay inside":     {`"safeRegex":{"regex":"x|spiffe"}`, cart, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ctx := upstream(t, `{"commonTlsContext":{`+fmt.Sprintf(mtls, `"matchTypedSubjectAltNames":[{"sanType":"URI","matcher":{`+c.matcher+`}}]`)+`}}`)
			m, err := compileSAN(ctx.GetCommonTlsContext().GetCombinedValidationContext().GetDefaultValidationContext().GetMatchTypedSubjectAltNames()[0])
			if err != nil {
				t.Fatal(err)
			}
			if got := m(c.id); got != c.want {
				t.Errorf("%s on %q: %v", c.matcher, c.id, got)
			}
		})
	}
}

func TestUnsupportedFieldsAreRefusedByName(t *testing.T) {
	a := newAuthority(t)
	s := newSecrets(a.issue(t, leaf(cart)), a.pool())
	cases := map[string]string{ // part of common_tls_context → word that the error must have
		`"tlsParams":{"tlsMinimumProtocolVersion":"TLSv1_1"}`:                                                                        "TLSv1_1",
		`"tlsParams":{"tlsMaximumProtocolVersion":"TLSv1_0"}`:                                                                        "TLSv1_0",
		`"tlsParams":{"tlsMinimumProtocolVersion":"TLSv1_3","tlsMaximumProtocolVersion":"TLSv1_2"}`:                                  "above the maximum",
		`"tlsParams":{"cipherSuites":["AES128-SHA"]}`:                                                                                "AES128-SHA",
		`"tlsParams":{"cipherSuites":["[A|B]"]}`:                                                                                     "[A|B]",
		`"tlsParams":{"ecdhCurves":["P-224"]}`:                                                                                       "P-224",
		`"tlsParams":{"signatureAlgorithms":["ecdsa_secp256r1_sha256"]}`:                                                             "signature_algorithms",
		`"tlsCertificates":[{"privateKey":{"filename":"/k"}}]`:                                                                       "tls_certificates",
		`"tlsCertificateSdsSecretConfigs":[{"name":""}]`:                                                                             "name is empty",
		`"tlsCertificateSdsSecretConfigs":[{"name":"a"},{"name":"b"}]`:                                                               "more than one",
		`"keyLog":{"path":"/tmp/k"}`:                                                                                                 "key_log",
		`"validationContext":{}`:                                                                                                     "trusted_ca",
		`"validationContext":{"trustedCa":{"inlineString":"x"}}`:                                                                     "not a PEM",
		`"validationContext":{"trustedCa":{"filename":"/does/not/exist"}}`:                                                           "trusted_ca",
		`"validationContext":{"trustedCa":{"environmentVariable":"X"}}`:                                                              "trusted_ca",
		`"validationContextSdsSecretConfig":{}`:                                                                                      "name is empty",
		`"combinedValidationContext":{"defaultValidationContext":{}}`:                                                                "name is empty",
		fmt.Sprintf(mtls, `"allowExpiredCertificate":true`):                                                                          "allow_expired_certificate",
		fmt.Sprintf(mtls, `"verifyCertificateHash":["aa"]`):                                                                          "verify_certificate_hash",
		fmt.Sprintf(mtls, `"verifyCertificateSpki":["aa"]`):                                                                          "verify_certificate_spki[0]",
		fmt.Sprintf(mtls, `"trustChainVerification":"ACCEPT_UNTRUSTED"`):                                                             "trust_chain_verification",
		fmt.Sprintf(mtls, `"crl":{"inlineString":"x"}`):                                                                              "crl",
		fmt.Sprintf(mtls, `"maxVerifyDepth":1`):                                                                                      "max_verify_depth",
		fmt.Sprintf(mtls, `"matchTypedSubjectAltNames":[{"sanType":"DNS","matcher":{"exact":"x"}}]`):                                 "DNS",
		fmt.Sprintf(mtls, `"matchTypedSubjectAltNames":[{"sanType":"URI"}]`):                                                         "matcher is missing",
		fmt.Sprintf(mtls, `"matchTypedSubjectAltNames":[{"sanType":"URI","matcher":{}}]`):                                            "match_pattern",
		fmt.Sprintf(mtls, `"matchTypedSubjectAltNames":[{"sanType":"URI","matcher":{"prefix":""}}]`):                                 "empty",
		fmt.Sprintf(mtls, `"matchTypedSubjectAltNames":[{"sanType":"URI","matcher":{"safeRegex":{}}}]`):                              "regex is empty",
		fmt.Sprintf(mtls, `"matchTypedSubjectAltNames":[{"sanType":"URI","matcher":{"safeRegex":{"regex":"a)|(b"}}}]`):               "safe_regex",
		fmt.Sprintf(mtls, `"matchTypedSubjectAltNames":[{"sanType":"URI","matcher":{"ignoreCase":true,"safeRegex":{"regex":"a"}}}]`): "ignore_case",
	}
	for part, want := range cases {
		t.Run(part, func(t *testing.T) {
			text := `{"commonTlsContext":{` + part
			if !strings.Contains(part, "tlsCertificate") {
				text += "," + ownCert
			}
			_, err := Server(downstream(t, text+`}}`), s)
			refused(t, err, want)
			if strings.Contains(err.Error(), "a server needs a certificate") {
				t.Errorf("refused for another reason: %v", err)
			}
		})
	}
}

func TestContextsThatWouldLetAnybodyInAreRefused(t *testing.T) {
	a := newAuthority(t)
	s := newSecrets(a.issue(t, leaf(cart)), a.pool())
	for text, want := range map[string]string{
		`{}`:                      "common_tls_context is missing",
		`{"commonTlsContext":{}}`: "certificate",
		`{"requireClientCertificate":true,"commonTlsContext":{` + ownCert + `}}`:                  "every certificate",
		`{"sessionTimeout":"3s","commonTlsContext":{` + ownCert + `}}`:                            "session_timeout",
		`{"ocspStaplePolicy":"MUST_STAPLE","commonTlsContext":{` + ownCert + `}}`:                 "ocsp_staple_policy",
		`{"sessionTicketKeys":{"keys":[{"filename":"/k"}]},"commonTlsContext":{` + ownCert + `}}`: "session_ticket_keys",
	} {
		_, err := Server(downstream(t, text), s)
		refused(t, err, want)
	}
	for text, want := range map[string]string{
		`{}`:                                     "common_tls_context is missing",
		`{"commonTlsContext":{` + ownCert + `}}`: "any server",
		`{"commonTlsContext":{` + ownCert + `,` + fmt.Sprintf(mtls, "") + `}}`: "match_typed_subject_alt_names",
		`{"allowRenegotiation":true,"commonTlsContext":{}}`:                    "allow_renegotiation",
		`{"autoHostSni":true,"commonTlsContext":{}}`:                           "auto_host_sni",
		`{"maxSessionKeys":4,"commonTlsContext":{}}`:                           "max_session_keys",
	} {
		_, err := Client(upstream(t, text), s)
		refused(t, err, want)
	}
	if _, err := Server(nil, s); err == nil {
		t.Error("nil server context")
	}
	if _, err := Client(nil, s); err == nil {
		t.Error("nil client context")
	}
	ctx := strictServer(t)
	ctx.ProtoReflect().SetUnknown(protoreflect.RawFields{0xf8, 0x7f, 0x01})
	_, err := Server(ctx, s)
	refused(t, err, "unknown")
}

// FuzzServer: no bytes may panic, and none may give a server that asks for
// client certificates without verifying them.
func FuzzServer(f *testing.F) {
	for _, text := range []string{`{}`, `{"commonTlsContext":{` + ownCert + `}}`} {
		b, err := proto.Marshal(downstream(f, text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, err := proto.Marshal(strictServer(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	a := newAuthority(f)
	s := newSecrets(a.issue(f, leaf(cart)), a.pool())
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx := &tlsv3.DownstreamTlsContext{}
		if proto.Unmarshal(data, ctx) != nil {
			return
		}
		if ctx.GetCommonTlsContext().GetValidationContext().GetTrustedCa().GetFilename() != "" {
			return // would open whatever the fuzzer names
		}
		cfg, err := Server(ctx, s)
		if err == nil && (cfg.VerifyConnection == nil || !cfg.SessionTicketsDisabled || cfg.MinVersion < 0x0303) {
			t.Fatalf("unsafe configuration of %v", ctx)
		}
	})
}
