// Package keystore keeps the authority's private keys by name. Keys come out as
// crypto.Signer and in no other form, so that a KMS or a PKCS #11 module can
// stand in for the files that are kept here.
package keystore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// Keys keeps private keys by name. A key that is not there is an error for which
// errors.Is(err, fs.ErrNotExist) holds.
type Keys interface {
	// Create makes an ECDSA P-256 key. When it returns, the key is durable. A name
	// that is taken is an error.
	Create(name string) (crypto.Signer, error)
	Open(name string) (crypto.Signer, error)
	// Delete forgets a key; one that is not there is no error.
	Delete(name string) error
	Names() ([]string, error)
}

// Sealer encrypts keys for the disk. name is authenticated with the key, so that
// no file can stand in for another one.
type Sealer interface {
	Seal(name string, key []byte) ([]byte, error)
	Unseal(name string, sealed []byte) ([]byte, error)
}

// PEM types of key files.
const (
	clearType  = "PRIVATE KEY"
	sealedType = "MESHC SEALED PRIVATE KEY"
	suffix     = ".key"
)

// Files are keys in files of one directory, NAME.key, mode 0600.
type Files struct {
	dir  string
	seal Sealer
}

// OpenFiles returns the keys in dir, which is made with mode 0700 when missing and
// refused when others may enter it. seal may be nil: keys are then in clear. With
// one, a key that lies there in clear is sealed when it is opened.
func OpenFiles(dir string, seal Sealer) (*Files, error) {
	if err := privatefile.EnsureDir(dir); err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	return &Files{dir: dir, seal: seal}, nil
}

// Create implements Keys.
func (f *Files) Create(name string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("keystore: key %s: %w", name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("keystore: key %s: %w", name, err)
	}
	if err := f.Import(name, der); err != nil {
		return nil, err
	}
	return opaque{key}, nil
}

// Import keeps a key that was made elsewhere, PKCS #8 in DER. A name that is taken
// is an error.
func (f *Files) Import(name string, der []byte) error {
	if _, err := os.Lstat(f.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("keystore: there is a key %s already", name), err)
	}
	return f.write(name, der)
}

func (f *Files) write(name string, der []byte) error {
	block := &pem.Block{Type: clearType, Bytes: der}
	if f.seal != nil {
		sealed, err := f.seal.Seal(name, der)
		if err != nil {
			return fmt.Errorf("keystore: key %s: %w", name, err)
		}
		block = &pem.Block{Type: sealedType, Bytes: sealed}
	}
	if err := privatefile.Write(f.path(name), pem.EncodeToMemory(block)); err != nil {
		return fmt.Errorf("keystore: %w", err)
	}
	return nil
}

// Open implements Keys. A damaged file is never repaired or replaced.
func (f *Files) Open(name string) (crypto.Signer, error) {
	data, err := privatefile.Read(f.path(name))
	if err != nil {
		return nil, fmt.Errorf("keystore: key %s: %w", name, err)
	}
	der, sealed, err := f.unseal(name, data)
	if err != nil {
		return nil, fmt.Errorf("keystore: file %s: %w", f.path(name), err)
	}
	key, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("keystore: file %s: %w", f.path(name), err)
	}
	if !sealed && f.seal != nil {
		if err := f.write(name, der); err != nil {
			return nil, err
		}
	}
	return key, nil
}

func (f *Files) unseal(name string, data []byte) (der []byte, sealed bool, err error) {
	block, rest := pem.Decode(data)
	switch {
	case block == nil || block.Type != clearType && block.Type != sealedType:
		return nil, false, errors.New("it does not begin with a private key in PEM")
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, false, errors.New("there is data after the key")
	case block.Type == clearType:
		return block.Bytes, false, nil
	case f.seal == nil:
		return nil, true, errors.New("the key is sealed, and no passphrase was given")
	}
	der, err = f.seal.Unseal(name, block.Bytes)
	return der, true, err
}

// SealAll seals every key that lies there in clear, also those that are opened once in
// ten years. Nobody may delete keys meanwhile. One that cannot be sealed is an error.
func (f *Files) SealAll() error {
	if f.seal == nil {
		return nil
	}
	names, err := f.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		data, err := privatefile.Read(f.path(name))
		if err != nil {
			return fmt.Errorf("keystore: key %s: %w", name, err)
		}
		if block, _ := pem.Decode(data); block != nil && block.Type == sealedType {
			continue
		}
		if _, err := f.Open(name); err != nil { // which seals it
			return err
		}
	}
	return nil
}

// Delete implements Keys.
func (f *Files) Delete(name string) error {
	if err := privatefile.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keystore: %w", err)
	}
	return nil
}

// Sweep deletes what a Create that was killed has left: keys that have no name yet.
// Nobody may make keys meanwhile.
func (f *Files) Sweep() error { return privatefile.Sweep(f.dir) }

// Names implements Keys.
func (f *Files) Names() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	var out []string
	for _, e := range entries {
		if name, is := strings.CutSuffix(e.Name(), suffix); is {
			out = append(out, name)
		}
	}
	return out, nil
}

func (f *Files) path(name string) string { return filepath.Join(f.dir, name+suffix) }

// Belongs says whether a certificate is for the key of signer.
func Belongs(c *x509.Certificate, signer crypto.Signer) bool {
	pub, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(c.PublicKey)
}

// Parse reads one private key, PKCS #8 ("PRIVATE KEY") or as older tools write it
// ("EC PRIVATE KEY", "RSA PRIVATE KEY"), in PEM. Its errors quote nothing of the
// input.
func Parse(text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("it is not one private key in PEM")
	}
	switch block.Type {
	case clearType:
		return parse(block.Bytes)
	case "EC PRIVATE KEY":
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return opaque{key}, nil
		}
	case "RSA PRIVATE KEY":
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return opaque{key}, nil
		}
	default:
		return nil, fmt.Errorf("a PEM block of type %q is no private key that can be read", block.Type)
	}
	return nil, errors.New("the private key is damaged")
}

func parse(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("the private key is damaged") // the cause could quote key bytes
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a private key of type %T cannot sign", key)
	}
	return opaque{signer}, nil
}
