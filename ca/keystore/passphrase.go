package keystore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/scrypt"

	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// Cost of a guess (RFC 7914): 64 MiB and about a fifth of a second. A key is
// unsealed once at a start.
const (
	scryptN = 1 << 16
	scryptR = 8
	scryptP = 1
)

const (
	saltBytes     = 16
	keyBytes      = 32
	minPassphrase = 16
)

// passphrase seals with AES-256-GCM under a key that scrypt makes of a
// passphrase and a salt of each file: salt, nonce, ciphertext.
type passphrase struct{ text []byte }

// PassphraseFile seals with what file holds, mode 0600, white space at its ends
// left out; the passphrase has at least 16 bytes.
func PassphraseFile(file string) (Sealer, error) {
	data, err := privatefile.Read(file)
	if err != nil {
		return nil, fmt.Errorf("passphrase: %w", err)
	}
	text := bytes.TrimSpace(data)
	if len(text) < minPassphrase {
		return nil, fmt.Errorf("passphrase: %s holds fewer than %d bytes", file, minPassphrase)
	}
	return passphrase{text}, nil
}

func (p passphrase) Seal(name string, key []byte) ([]byte, error) {
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	aead, err := p.aead(salt)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return aead.Seal(append(salt, nonce...), nonce, key, []byte(name)), nil
}

func (p passphrase) Unseal(name string, sealed []byte) ([]byte, error) {
	if len(sealed) < saltBytes {
		return nil, errors.New("the sealed key is cut off")
	}
	aead, err := p.aead(sealed[:saltBytes])
	if err != nil {
		return nil, err
	}
	rest := sealed[saltBytes:]
	if len(rest) < aead.NonceSize() {
		return nil, errors.New("the sealed key is cut off")
	}
	key, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], []byte(name))
	if err != nil {
		return nil, errors.New("the sealed key is damaged, or the passphrase is another one")
	}
	return key, nil
}

func (p passphrase) aead(salt []byte) (cipher.AEAD, error) {
	key, err := scrypt.Key(p.text, salt, scryptN, scryptR, scryptP, keyBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Format hides the passphrase whatever the verb.
func (passphrase) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }
