package engine

import (
	"crypto/tls"

	"github.com/meshc/meshc/dataplane/transport"
)

// peerID is the SPIFFE ID of a client whose certificate has been verified.
func peerID(cs tls.ConnectionState) (string, bool) { return transport.PeerSPIFFEID(cs) }
