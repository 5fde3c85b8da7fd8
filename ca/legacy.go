package ca

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/meshc/meshc/ca/keystore"
	"github.com/meshc/meshc/ca/slots"
	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// takeOver prepares the root and the issuer that an older meshc kept in root.pem and
// issuer.pem, each with its key; a mesh keeps its root when it is updated.
func (o *own) takeOver(b *slots.Book, now time.Time) error {
	root, err := o.takeFile(b, slots.Root, "", now)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(o.legacy(slots.Issuer)); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s has an issuer but its root is missing: restore the root, or move the directory away to begin a new trust domain", o.cfg.Dir), err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	_, err = o.takeFile(b, slots.Issuer, root, now)
	return ignoreMissing(err)
}

func (o *own) takeFile(b *slots.Book, k slots.Kind, parent string, now time.Time) (string, error) {
	data, err := privatefile.Read(o.legacy(k))
	if err != nil {
		return "", err
	}
	files, ok := o.keys.(*keystore.Files)
	if !ok {
		return "", fmt.Errorf("%s is of an older meshc, and its key cannot be moved to where keys are now: move it away to begin a new trust domain", o.legacy(k))
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return "", fmt.Errorf("file %s does not hold a key and its certificate", o.legacy(k))
	}
	key, err := keystore.Parse(pem.EncodeToMemory(block))
	if err != nil {
		return "", fmt.Errorf("file %s: %w", o.legacy(k), err)
	}
	name, err := newName(string(k))
	if err != nil {
		return "", err
	}
	s := slots.Slot{Kind: k, Name: name, Parent: parent, Certificate: string(bytes.TrimLeft(rest, "\n"))}
	if err := b.Prepare(s, now); err != nil {
		return "", fmt.Errorf("file %s: %w", o.legacy(k), err)
	}
	if !keystore.Belongs(b.Named(name).X509(), key) {
		return "", fmt.Errorf("file %s: the certificate is not for the key beside it", o.legacy(k))
	}
	return name, files.Import(name, block.Bytes)
}

// dropLegacy deletes what was taken over, once it is in the book.
func (o *own) dropLegacy() error {
	for _, k := range []slots.Kind{slots.Root, slots.Issuer} {
		if err := ignoreMissing(privatefile.Remove(o.legacy(k))); err != nil {
			return err
		}
	}
	return nil
}

func (o *own) legacy(k slots.Kind) string { return filepath.Join(o.cfg.Dir, string(k)+".pem") }
