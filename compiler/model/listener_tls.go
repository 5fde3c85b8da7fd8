package model

import "strings"

// HTTPS is spoken on gateways' listeners only: HTTP/1.1 and HTTP/2 over TLS.
const HTTPS Protocol = "https"

// TLSMode says what a listener asks of clients.
type TLSMode string

// Modes: terminate asks for nothing, mutual for a certificate that the CA
// vouches for, optionalMutual for such a one or none.
const (
	TLSTerminate      TLSMode = "terminate"
	TLSMutual         TLSMode = "mutual"
	TLSOptionalMutual TLSMode = "optionalMutual"
)

// TLSVersion is "1.2" or "1.3".
type TLSVersion string

// Versions of TLS.
const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

// ListenerTLS is TLS on a gateway's listener.
type ListenerTLS struct {
	Mode                   TLSMode
	Certificates           []Certificate
	CA                     *Secret  // nil: clients show nothing
	Pins                   []string // digests of clients' keys, sorted; none: any key
	Ciphers                []string // of TLS 1.2, sorted; none: all of the language
	MinVersion, MaxVersion TLSVersion
	Origin                 Origin
}

// Certificate is what a listener shows to clients that ask for one of Hosts;
// without Hosts, to those that no other certificate is for.
type Certificate struct {
	Secret
	Hosts []string // host patterns, as CompareHosts orders them
}

// SecretKind says how the agent beside a proxy finds a secret.
type SecretKind string

// Kinds: a directory named after the secret, or one PEM file.
const (
	NamedSecret SecretKind = "secret"
	FileSecret  SecretKind = "file"
)

// Secret names something that the agent beside a proxy keeps.
type Secret struct {
	Kind   SecretKind
	Name   string // of the secret, or the path of the file
	Origin Origin
}

// String gives "secret shop" or "file edge/shop.pem".
func (s Secret) String() string { return string(s.Kind) + " " + s.Name }

// CertificateName is the SDS name of a chain and its key.
func (s Secret) CertificateName() string { return "certificate|" + string(s.Kind) + "|" + s.Name }

// AuthoritiesName is the SDS name of the certificates of authorities.
func (s Secret) AuthoritiesName() string { return "ca|" + string(s.Kind) + "|" + s.Name }

// Settings lists what t says, in the order of the schema; nothing for nil.
func (t *ListenerTLS) Settings() []Setting {
	if t == nil {
		return nil
	}
	s := &settings{at: t.Origin}
	s.add("mode", string(t.Mode))
	for _, c := range t.Certificates {
		s.at = c.Origin
		hosts := "every other name"
		if len(c.Hosts) > 0 {
			hosts = strings.Join(c.Hosts, ", ")
		}
		s.add("certificates["+c.String()+"]", "for "+hosts)
	}
	if t.CA != nil {
		s.at = t.CA.Origin
		s.add("ca", t.CA.String())
	}
	s.at = t.Origin
	s.add("pins", strings.Join(t.Pins, ", "))
	s.add("ciphers", strings.Join(t.Ciphers, ", "))
	s.add("minVersion", string(t.MinVersion))
	s.add("maxVersion", string(t.MaxVersion))
	return s.list
}
