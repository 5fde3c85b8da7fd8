// Package validate holds what the authority demands of names, of certificate
// requests and of certificates, its own included. It takes foreign or freshly
// made bytes and returns typed values or the reason why not.
package validate

import (
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Limits of SPIFFE-ID section 2.1 and 2.3, in bytes.
const (
	MaxIDBytes          = 2048
	MaxTrustDomainBytes = 255
)

// SPIFFEID parses s by the SPIFFE-ID specification, its length limits
// included.
func SPIFFEID(s string) (spiffeid.ID, error) {
	if len(s) > MaxIDBytes {
		return spiffeid.ID{}, fmt.Errorf("SPIFFE ID has %d bytes, more than %d", len(s), MaxIDBytes)
	}
	id, err := spiffeid.FromString(s)
	if err != nil {
		return spiffeid.ID{}, fmt.Errorf("SPIFFE ID %q: %w", s, err)
	}
	if n := len(id.TrustDomain().Name()); n > MaxTrustDomainBytes {
		return spiffeid.ID{}, fmt.Errorf("SPIFFE ID: trust domain has %d bytes, more than %d", n, MaxTrustDomainBytes)
	}
	return id, nil
}

// WorkloadID parses s as an identity that the mesh gives to workloads:
// spiffe://<trust domain>/ns/<namespace>/sa/<service account>, with td as
// trust domain.
func WorkloadID(s string, td spiffeid.TrustDomain) (spiffeid.ID, error) {
	id, err := SPIFFEID(s)
	if err != nil {
		return spiffeid.ID{}, err
	}
	if !id.MemberOf(td) {
		return spiffeid.ID{}, fmt.Errorf("SPIFFE ID %q is not of trust domain %q", s, td.Name())
	}
	seg := strings.Split(id.Path(), "/") // "", "ns", <namespace>, "sa", <account>
	if len(seg) != 5 || seg[1] != "ns" || seg[3] != "sa" {
		return spiffeid.ID{}, fmt.Errorf("SPIFFE ID %q does not have the form spiffe://<trust domain>/ns/<namespace>/sa/<service account>", s)
	}
	return id, nil
}

// ControllerID is the identity of the control plane, by which workloads
// recognise it. The authority gives it to its own process only.
func ControllerID(td spiffeid.TrustDomain) spiffeid.ID {
	return spiffeid.RequireFromPath(td, "/ns/meshc-system/sa/meshc-controller")
}
