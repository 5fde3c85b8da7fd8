package transport

import (
	"crypto/x509"
	"fmt"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// Peers judges, long after the handshake, the certificates that a peer has shown in
// it.
type Peers struct {
	policy *peerPolicy
	usage  x509.ExtKeyUsage
}

// ServerPeers gives the judge of the clients of a listener, nil where the context
// verifies nobody.
func ServerPeers(ctx *tlsv3.DownstreamTlsContext, s Secrets) (*Peers, error) {
	return peersOf(ctx.GetCommonTlsContext(), x509.ExtKeyUsageClientAuth, s)
}

// ClientPeers gives the judge of the servers of an upstream, nil where the context
// verifies nobody.
func ClientPeers(ctx *tlsv3.UpstreamTlsContext, s Secrets) (*Peers, error) {
	return peersOf(ctx.GetCommonTlsContext(), x509.ExtKeyUsageServerAuth, s)
}

func peersOf(ctx *tlsv3.CommonTlsContext, usage x509.ExtKeyUsage, s Secrets) (*Peers, error) {
	policy, err := peerPolicyOf(ctx, s, apply(nil))
	switch {
	case err != nil:
		return nil, fmt.Errorf("common_tls_context.%w", err)
	case policy == nil || policy.anybody:
		return nil, nil
	}
	return &Peers{policy: policy, usage: usage}, nil
}

// Trusts says whether the trust bundle of now still vouches for a chain, leaf first.
// A connection may outlive the certificates that it was made by, so the chain is
// judged in the middle of the leaf's life: all that was above it was valid then.
func (p *Peers) Trusts(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return nil // a handshake without a certificate was let through by other rules
	}
	leaf := chain[0]
	policy := *p.policy
	policy.now = func() time.Time { return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2) }
	return policy.check(chain, p.usage)
}
