// Package identity gives a workload its X.509-SVID: it makes the private key
// where it is used, has the authority sign the public half, renews in time and
// keeps everything in a private directory, so that a restart needs neither a
// new join token nor the authority.
package identity

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Identity is one issued identity. It never changes; a renewal makes a new
// one.
type Identity struct {
	SPIFFEID    string
	Certificate tls.Certificate // leaf, then intermediates; Leaf is set
	Bundle      *x509.CertPool  // roots of the trust domain
	BundlePEM   []byte          // the same, as PEM

	chainPEM        []byte
	issued          time.Time // when it was asked for, or is valid from
	renewAt, lateAt time.Time // see schedule
}

// NotAfter is when the certificate ends.
func (i *Identity) NotAfter() time.Time { return i.Certificate.Leaf.NotAfter }

// Issued is when the certificate was asked for, by the clock of this machine; of one
// that an earlier process has kept, when it is valid from.
func (i *Identity) Issued() time.Time { return i.issued }

// CertificatePEM returns the chain, leaf first.
func (i *Identity) CertificatePEM() []byte { return i.chainPEM }

// PrivateKeyPEM returns the private key as PKCS #8. Its one legitimate use is
// the SDS socket of this machine.
func (i *Identity) PrivateKeyPEM() ([]byte, error) {
	key, ok := i.Certificate.PrivateKey.(*privateKey)
	if !ok {
		return nil, fmt.Errorf("the key of %q cannot be exported", i.SPIFFEID)
	}
	return key.pem()
}

// String names the identity without its key.
func (i *Identity) String() string {
	return fmt.Sprintf("%s (serial %s, until %s)", i.SPIFFEID, i.Certificate.Leaf.SerialNumber.Text(16), i.NotAfter().UTC().Format(time.RFC3339))
}

// Format prints String for every verb, so that none walks into the key.
func (i *Identity) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, i.String()) }

// LogValue logs String.
func (i *Identity) LogValue() slog.Value { return slog.StringValue(i.String()) }
