package signature

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// namespace is what Git signs commits and tags for.
const namespace = "git"

// verifySSH checks a signature as ssh-keygen -Y verify does for git(1): a line
// of the allowed signers has the key, is for the namespace "git", and was valid
// at the time that the object names.
func (k *Keys) verifySSH(o *Object, text []byte) (Signer, error) {
	sig, err := parseSSH(text)
	if err != nil {
		return Signer{}, fmt.Errorf("%w signature: %w", ErrMalformed, err)
	}
	id := sig.PublicKey.Type() + " " + ssh.FingerprintSHA256(sig.PublicKey)
	signer, err := k.allow(sig.PublicKey, o.When)
	if err != nil {
		return Signer{}, fmt.Errorf("%w: %s%w", ErrUnknownKey, id, err)
	}
	if err := sshsig.Verify(bytes.NewReader(o.Payload), sig, signer.key, sig.HashAlgorithm, namespace); err != nil {
		return Signer{}, fmt.Errorf("%w: %s: %w", ErrInvalid, id, err)
	}
	return Signer{Key: id, Name: signer.principals, When: o.When}, nil
}

// parseSSH takes one block, without anything in it that would not be verified.
func parseSSH(text []byte) (*sshsig.Signature, error) {
	block, rest := pem.Decode(append(bytes.Clone(text), '\n'))
	if block == nil || len(rest) != 0 || len(block.Headers) != 0 {
		return nil, errors.New("it is not one armored block")
	}
	sig, err := sshsig.ParseSignature(block.Bytes)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(sig.Marshal(), block.Bytes) {
		return nil, errors.New("it holds more than a signature")
	}
	return sig, nil
}
