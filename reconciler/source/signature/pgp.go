package signature

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// sound refuses what can be forged, in signatures of objects and in those that
// bind the parts of a key to each other. (SHA-1 is left to the latter: old keys
// have it, and who could forge it would need the owner to sign a chosen key.)
var sound = &packet.Config{
	MinRSABits:                  2047,
	RejectPublicKeyAlgorithms:   map[packet.PublicKeyAlgorithm]bool{packet.PubKeyAlgoElGamal: true, packet.PubKeyAlgoDSA: true},
	RejectHashAlgorithms:        map[crypto.Hash]bool{crypto.MD5: true, crypto.RIPEMD160: true},
	RejectMessageHashAlgorithms: map[crypto.Hash]bool{crypto.SHA1: true, crypto.MD5: true, crypto.RIPEMD160: true},
	RejectCurves:                map[packet.Curve]bool{packet.CurveSecP256k1: true},
}

// verifyPGP checks a detached OpenPGP signature. The key must have been valid
// when it signed; one that was revoked as compromised never counts.
func (k *Keys) verifyPGP(o *Object, text []byte) (Signer, error) {
	block, err := armor.Decode(bytes.NewReader(text))
	if err != nil {
		return Signer{}, fmt.Errorf("%w signature: %w", ErrMalformed, err)
	}
	body, err := io.ReadAll(block.Body)
	if err != nil {
		return Signer{}, fmt.Errorf("%w signature: %w", ErrMalformed, err)
	}
	sig, err := onePacket(body)
	if err != nil {
		return Signer{}, fmt.Errorf("%w signature: %w", ErrMalformed, err)
	}
	id := fmt.Sprintf("PGP %016X", *sig.IssuerKeyId)
	if len(sig.IssuerFingerprint) > 0 {
		id = fmt.Sprintf("PGP %X", sig.IssuerFingerprint)
	}
	_, who, err := openpgp.VerifyDetachedSignature(k.pgp, bytes.NewReader(o.Payload), bytes.NewReader(body), sound)
	switch {
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return Signer{}, fmt.Errorf("%w: %s", ErrUnknownKey, id)
	case err != nil:
		return Signer{}, fmt.Errorf("%w: %s: %w", ErrInvalid, id, err)
	}
	s := Signer{Key: fmt.Sprintf("PGP %X", who.PrimaryKey.Fingerprint), When: sig.CreationTime.UTC()}
	if names := slices.Sorted(maps.Keys(who.Identities)); len(names) > 0 {
		s.Name = names[0]
	}
	if _, primary := who.PrimaryIdentity(sig.CreationTime, sound); primary != nil {
		s.Name = primary.Name
	}
	return s, nil
}

// onePacket holds a signature to what Git writes: one packet, over bytes. A
// signature over text would hold for other line ends too.
func onePacket(body []byte) (*packet.Signature, error) {
	packets := packet.NewReader(bytes.NewReader(body))
	p, err := packets.Next()
	if err != nil {
		return nil, err
	}
	sig, ok := p.(*packet.Signature)
	switch {
	case !ok:
		return nil, errors.New("it holds something else than a signature")
	case sig.SigType != packet.SigTypeBinary:
		return nil, errors.New("it does not sign bytes")
	case sig.IssuerKeyId == nil:
		return nil, errors.New("it does not name its key")
	}
	if _, err := packets.Next(); err != io.EOF {
		return nil, errors.New("it holds more than one signature")
	}
	return sig, nil
}
