package intent

import "github.com/meshc/meshc/compiler/diag"

// ExternalTLS is TLS to an external.
type ExternalTLS struct {
	Ports       []Value[string] // nil: every port
	SNI         *Value[string]
	SANs        []Value[string] // nil: the SNI
	Mode        *Value[string]  // simple | mutual
	CA          *Secret         // nil: the authorities of the machine
	Certificate *Secret
	MinVersion  *Value[string] // 1.2 | 1.3
	Insecure    *Insecure
	At          diag.Range
}

// Insecure says why, and until when (RFC 3339), a certificate is not verified.
type Insecure struct {
	Reason, Until Value[string]
	At            diag.Range
}
