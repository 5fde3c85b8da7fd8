package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// SystemCA is where a machine keeps the authorities that it trusts.
const SystemCA = "/etc/ssl/certs/ca-certificates.crt"

// TLSSimple is TLS to an external that shows the server no certificate.
const TLSSimple TLSMode = "simple"

// ExternalTLS is TLS to an external.
type ExternalTLS struct {
	Ports       []uint16 // sorted
	SNI         string
	SANs        []string // DNS names, of which the certificate has one; sorted
	Mode        TLSMode  // simple or mutual
	CA          *Secret  // nil: SystemCA
	Certificate *Secret  // what callers show; nil unless Mode is mutual
	MinVersion  string   // "1.2" or "1.3"
	Insecure    *Insecure
	Origin      Origin
}

// Insecure says why, and until when, a certificate is not verified.
type Insecure struct {
	Reason string
	Until  time.Time
	Origin Origin
}

// TLSOn gives the TLS to a port; nil for plaintext.
func (e *External) TLSOn(port uint16) *ExternalTLS {
	if e.TLS == nil || !slices.Contains(e.TLS.Ports, port) {
		return nil
	}
	return e.TLS
}

// Settings lists what t sets, in the order of the schema; nothing for nil.
func (t *ExternalTLS) Settings() []Setting {
	if t == nil {
		return nil
	}
	s := &settings{at: t.Origin}
	s.add("ports", fmt.Sprint(t.Ports))
	s.add("sni", t.SNI)
	s.add("sans", strings.Join(t.SANs, ", "))
	s.add("mode", string(t.Mode))
	ca := SystemCA
	if t.CA != nil {
		s.at, ca = t.CA.Origin, t.CA.String()
	}
	s.add("ca", ca)
	if t.Certificate != nil {
		s.at = t.Certificate.Origin
		s.add("certificate", t.Certificate.String())
	}
	s.at = t.Origin
	s.add("minVersion", t.MinVersion)
	if i := t.Insecure; i != nil {
		s.at = i.Origin
		s.add("insecure", "until "+i.Until.UTC().Format(time.RFC3339)+": "+i.Reason)
	}
	return s.list
}
