package keystore

import (
	"crypto"
	"fmt"
	"io"
	"log/slog"
)

// opaque hides the key behind its signing operation, so that neither a type
// assertion nor a log line of another package gets at its bytes.
type opaque struct{ signer crypto.Signer }

func (o opaque) Public() crypto.PublicKey { return o.signer.Public() }

func (o opaque) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.signer.Sign(rand, digest, opts)
}

func (o opaque) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, "[redacted]") }
func (o opaque) LogValue() slog.Value         { return slog.StringValue("[redacted]") }
func (o opaque) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
