package federation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/bundle"
	"github.com/meshc/meshc/ca/validate"
)

// Limits of what another trust domain says: with all peers' bundles in it, a message to a
// workload stays below the 4 MiB that clients of gRPC take.
const (
	maxDocument  = 1 << 20 // bytes
	maxRootBytes = 32 << 10
	maxKeys      = 32
	maxKeyID     = 256 // bytes
	maxPeers     = 64
)

// decode reads the bundle of trust domain td in the SPIFFE bundle format (SPIFFE Trust
// Domain and Bundle, section 4), and when to read it again; 0 = it does not say. What
// could not vouch for anybody of td is an error.
func decode(td spiffeid.TrustDomain, document []byte) (bundle.Content, time.Duration, error) {
	if len(document) > maxDocument {
		return bundle.Content{}, 0, fmt.Errorf("bundle of more than %d bytes", maxDocument)
	}
	b, err := spiffebundle.Parse(td, document)
	if err != nil {
		return bundle.Content{}, 0, err
	}
	out := bundle.Content{Roots: b.X509Authorities(), Keys: b.JWTAuthorities()}
	out.Sequence, _ = b.SequenceNumber()
	if err := check(td, &out); err != nil {
		return bundle.Content{}, 0, err
	}
	hint, _ := b.RefreshHint()
	return out, hint, nil
}

func check(td spiffeid.TrustDomain, c *bundle.Content) error {
	size := 0
	for _, root := range c.Roots {
		size += len(root.Raw)
	}
	switch {
	case len(c.Roots) == 0:
		return errors.New("bundle without roots of X.509-SVIDs")
	case size > maxRootBytes || len(c.Keys) > maxKeys:
		return fmt.Errorf("bundle with %d bytes of roots and %d keys, more than %d and %d", size, len(c.Keys), maxRootBytes, maxKeys)
	}
	for _, root := range c.Roots {
		if err := validate.Authority(root, td); err != nil {
			return fmt.Errorf("root %q: %w", root.Subject, err)
		}
		if err := checkRootKey(root.PublicKey); err != nil {
			return fmt.Errorf("root %q: %w", root.Subject, err)
		}
	}
	for id, key := range c.Keys {
		if len(id) > maxKeyID {
			return fmt.Errorf("a key with an ID of %d bytes, more than %d", len(id), maxKeyID)
		}
		if err := checkKey(key); err != nil {
			return fmt.Errorf("key %q: %w", id, err)
		}
	}
	return nil
}

// checkRootKey refuses keys that verify nothing, or at a cost that another trust domain
// could choose: every handshake with one of its workloads pays it.
func checkRootKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case nil:
		return errors.New("its key is of a kind that is not known, so it verifies nothing")
	case *rsa.PublicKey:
		return validate.PublicKey(k)
	}
	return nil
}

// checkKey takes public keys of the algorithms of JWT-SVIDs (section 2.1).
func checkKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return nil
	case *rsa.PublicKey:
		return validate.PublicKey(k)
	}
	return fmt.Errorf("%T is not a public key that signs JWT-SVIDs", key)
}

// decodeFile reads a bundle that was handed over: in the SPIFFE bundle format, or roots
// as PEM.
func decodeFile(td spiffeid.TrustDomain, data []byte) (bundle.Content, error) {
	if rest := bytes.TrimSpace(data); len(rest) > 0 && rest[0] == '{' {
		c, _, err := decode(td, rest)
		return c, err
	}
	var out bundle.Content
	for rest := bytes.TrimSpace(data); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return bundle.Content{}, errors.New("something in it is neither a PEM certificate nor a SPIFFE bundle")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return bundle.Content{}, err
		}
		out.Roots = append(out.Roots, c)
	}
	return out, check(td, &out)
}
