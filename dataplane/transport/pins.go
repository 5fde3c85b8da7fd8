package transport

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
)

// pin is the SHA-256 digest of a SubjectPublicKeyInfo.
type pin = [sha256.Size]byte

// compilePins reads verify_certificate_spki.
func compilePins(list []string) ([]pin, error) {
	var out []pin
	for i, text := range list {
		raw, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(raw) != sha256.Size {
			return nil, fmt.Errorf("verify_certificate_spki[%d]: %q is no SHA-256 digest in base64", i, text)
		}
		out = append(out, pin(raw))
	}
	return out, nil
}

// checkPin takes peers of certain keys, beside what else they must satisfy; with
// no pins, of any key.
func (p *peerPolicy) checkPin(leaf *x509.Certificate) error {
	if len(p.pins) == 0 || slices.Contains(p.pins, sha256.Sum256(leaf.RawSubjectPublicKeyInfo)) {
		return nil
	}
	return errors.New("peer: its key is none of verify_certificate_spki")
}
