package signature

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// Files name the keys that are trusted. They are read again for every commit, so
// that keys can be rotated without a restart.
type Files struct {
	PGP            []string // armored OpenPGP public keys, any number of blocks in each
	AllowedSigners string   // SSH keys, as ssh-keygen(1) describes it under ALLOWED SIGNERS
}

// maxFile bounds a file of keys.
const maxFile = 4 << 20

// Read gives the content of each file.
func (f Files) read() (pgp [][]byte, allowed []byte, err error) {
	for _, name := range f.PGP {
		data, err := readFile(name)
		if err != nil {
			return nil, nil, err
		}
		pgp = append(pgp, data)
	}
	if f.AllowedSigners != "" {
		allowed, err = readFile(f.AllowedSigners)
	}
	return pgp, allowed, err
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("keys: %s is larger than %d bytes", name, maxFile)
	}
	return data, nil
}

// Fingerprint changes when the files do.
func (f Files) Fingerprint() string {
	pgp, allowed, err := f.read()
	if err != nil {
		return err.Error()
	}
	h := sha256.New()
	for _, data := range append(pgp, allowed) {
		fmt.Fprintf(h, "%d:%s", len(data), data)
	}
	return string(h.Sum(nil))
}

// Keys are those whose signatures count.
type Keys struct {
	pgp     openpgp.EntityList
	allowed []allowedSigner
}

// Load reads the files. A file that holds anything that is not understood is an
// error, and so are files without any key.
func (f Files) Load() (*Keys, error) {
	pgp, allowed, err := f.read()
	if err != nil {
		return nil, err
	}
	k := &Keys{}
	for i, data := range pgp {
		list, err := readPGP(data)
		if err != nil {
			return nil, fmt.Errorf("keys: %s: %w", f.PGP[i], err)
		}
		k.pgp = append(k.pgp, list...)
	}
	if k.allowed, err = parseAllowedSigners(allowed); err != nil {
		return nil, fmt.Errorf("keys: %s: %w", f.AllowedSigners, err)
	}
	if len(k.pgp)+len(k.allowed) == 0 {
		return nil, errors.New("keys: the files hold no key")
	}
	return k, nil
}

// readPGP reads every armored block of a file.
func readPGP(data []byte) (openpgp.EntityList, error) {
	var out openpgp.EntityList
	for rest := bytes.NewReader(data); ; {
		block, err := armor.Decode(rest)
		if err == io.EOF && len(out) > 0 {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("armored OpenPGP keys: %w", err)
		}
		if block.Type != openpgp.PublicKeyType {
			return nil, fmt.Errorf("a block of type %q, want %q only", block.Type, openpgp.PublicKeyType)
		}
		list, err := openpgp.ReadKeyRing(block.Body)
		if err != nil {
			return nil, fmt.Errorf("OpenPGP keys: %w", err)
		}
		out = append(out, list...)
		// The decoder has read ahead: the next block is looked for behind the end of this one.
		end := bytes.Index(data, []byte(pgpKeyEnd))
		if end < 0 {
			return nil, errors.New("an armored block does not end")
		}
		data = data[end+len(pgpKeyEnd):]
		if len(bytes.TrimSpace(data)) == 0 {
			return out, nil
		}
		rest = bytes.NewReader(data)
	}
}

const pgpKeyEnd = "-----END PGP PUBLIC KEY BLOCK-----"

// Signer is who signed.
type Signer struct {
	Key  string // "PGP" and the fingerprint in hex, or the type and "SHA256:…" of an SSH key
	Name string // a user ID of the PGP key, or the principals of the SSH key
	When time.Time
}

// String is for people.
func (s Signer) String() string { return s.Name + " (" + s.Key + ")" }

// Verify says who signed an object. The error wraps one of ErrUnsigned,
// ErrUnknownKey, ErrInvalid and ErrMalformed, and names the key where there is one.
func (k *Keys) Verify(o *Object) (Signer, error) {
	text := bytes.TrimSpace(o.Signature)
	switch {
	case o.Signature == nil:
		return Signer{}, ErrUnsigned
	case bytes.Count(text, []byte("-----BEGIN ")) != 1 || bytes.Count(text, []byte("-----END ")) != 1:
		return Signer{}, fmt.Errorf("%w signature: it is not one armored block", ErrMalformed)
	case enclosed(text, "PGP SIGNATURE"):
		return k.verifyPGP(o, text)
	case enclosed(text, "SSH SIGNATURE"):
		return k.verifySSH(o, text)
	}
	return Signer{}, fmt.Errorf("%w signature: it is neither of OpenPGP nor of SSH", ErrMalformed)
}

func enclosed(text []byte, kind string) bool {
	return bytes.HasPrefix(text, []byte("-----BEGIN "+kind+"-----\n")) && bytes.HasSuffix(text, []byte("\n-----END "+kind+"-----"))
}
