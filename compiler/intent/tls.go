package intent

import "github.com/meshc/meshc/compiler/diag"

// ExternalTLS is TLS to an external.
type ExternalTLS struct {
	Ports      []Value[string] // nil: every port
	SNI        *Value[string]
	SANs       []Value[string] // nil: the SNI
	CA         *CA
	MinVersion *Value[string] // 1.2 | 1.3
	Insecure   *Insecure
	At         diag.Range
}

// CA names authorities by the file that holds them.
type CA struct {
	File Value[string]
	At   diag.Range
}

// Insecure says why, and until when (RFC 3339), a certificate is not verified.
type Insecure struct {
	Reason, Until Value[string]
	At            diag.Range
}
