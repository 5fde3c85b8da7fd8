package intent

import "github.com/meshc/meshc/compiler/diag"

// ListenerTLS is the `tls` of a gateway's listener.
type ListenerTLS struct {
	Mode                   *Value[string] // terminate | mutual | optionalMutual
	Certificates           []*Certificate
	CA                     *Secret
	Pins, Ciphers          []Value[string]
	MinVersion, MaxVersion *Value[string] // 1.2 | 1.3
	At                     diag.Range
}

// Certificate names a certificate with its key, by one of Secret and File.
type Certificate struct {
	Secret
	Hosts []Value[string] // nil: every name that no other is for
}

// Secret names something that the agent beside the proxy keeps.
type Secret struct {
	Secret, File *Value[string]
	At           diag.Range
}
