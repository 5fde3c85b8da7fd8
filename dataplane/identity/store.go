package identity

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/meshc/meshc/dataplane/identity/privatefile"
	"github.com/meshc/meshc/dataplane/transport/verify"
)

// Files of the identity directory. Key and chain are one file, because each is
// useless with another one's half.
const (
	svidFile   = "svid.pem"   // private key, leaf, intermediates
	bundleFile = "bundle.pem" // roots
)

// save writes id into the directory: the bundle first, so that a crash in between leaves
// the old identity with roots that still include its own.
func save(cfg *Config, id *Identity) error {
	key, err := id.PrivateKeyPEM()
	if err != nil {
		return err
	}
	if err := keepBundle(cfg, id.BundlePEM); err != nil {
		return err
	}
	if err := privatefile.Write(filepath.Join(cfg.Dir, svidFile), append(key, id.chainPEM...)); err != nil {
		return fmt.Errorf("keep the identity: %w", err)
	}
	return nil
}

// load reads what save wrote and verifies it at the time now. A directory
// without an identity is an error for which errors.Is(err, fs.ErrNotExist)
// holds.
func load(dir string, now time.Time) (*Identity, error) {
	svid, err := privatefile.Read(filepath.Join(dir, svidFile))
	if err != nil {
		return nil, err
	}
	bundle, err := privatefile.Read(filepath.Join(dir, bundleFile))
	if err != nil {
		return nil, err
	}
	block, chain := pem.Decode(svid)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s does not begin with a private key", filepath.Join(dir, svidFile))
	}
	key, err := parsePrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, svidFile), err)
	}
	id, err := assemble(key, chain, bundle, now)
	if err != nil {
		return nil, fmt.Errorf("identity in %s: %w", dir, err)
	}
	return id, nil
}

// assemble makes an Identity of its parts and refuses those that do not belong
// together, or that no peer would accept at the time now.
func assemble(key *privateKey, chainPEM, bundlePEM []byte, now time.Time) (*Identity, error) {
	chain, err := certificates(chainPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate chain: %w", err)
	}
	roots, err := certificates(bundlePEM)
	if err != nil {
		return nil, fmt.Errorf("trust bundle: %w", err)
	}
	pool := x509.NewCertPool()
	for _, c := range roots {
		if !c.IsCA {
			return nil, fmt.Errorf("trust bundle: certificate %q is not an authority's", c.Subject)
		}
		pool.AddCert(c)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
		if _, err := verify.Chain(chain, pool, usage, now); err != nil {
			return nil, err
		}
	}
	leaf := chain[0]
	if pub, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(key.Public()) {
		return nil, errors.New("the certificate is not for this key")
	}
	spiffeID, err := verify.ID(leaf)
	if err != nil {
		return nil, err
	}
	cert := tls.Certificate{PrivateKey: key, Leaf: leaf}
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return &Identity{
		SPIFFEID: spiffeID.String(), Certificate: cert,
		Bundle: pool, BundlePEM: encode(roots), chainPEM: encode(chain),
	}, nil
}

// certificates reads one or more PEM certificates and nothing else.
func certificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := bytes.TrimSpace(text); len(rest) != 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("there is something that is not a PEM certificate")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("it is empty")
	}
	return out, nil
}

func encode(certs []*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// isExpired says whether err means that a certificate is past its end.
func isExpired(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}
