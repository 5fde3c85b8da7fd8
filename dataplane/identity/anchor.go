package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// anchorFile has the SHA-256 of the root file as it was when the bundle that is kept
// was learned.
const anchorFile = "root.sha256"

// anchors are the roots that the authority's server is verified by: those of the
// current identity; without one, those that were kept. The root file counts until a
// bundle is known, and again when it was replaced since: a root that the authority
// trusts no more stays in a file for as long as nobody writes it.
func anchors(cfg *Config, cur *Identity) ([]*x509.Certificate, error) {
	if cur != nil {
		roots, err := certificates(cur.BundlePEM)
		if err != nil {
			return nil, fmt.Errorf("trust bundle: %w", err)
		}
		return roots, nil
	}
	file, err := os.ReadFile(cfg.CARootFile)
	if err != nil {
		return nil, fmt.Errorf("root of the authority: %w", err)
	}
	given, err := certificates(file)
	if err != nil {
		return nil, fmt.Errorf("root of the authority in %s: %w", cfg.CARootFile, err)
	}
	kept, err := privatefile.Read(filepath.Join(cfg.Dir, bundleFile))
	if errors.Is(err, fs.ErrNotExist) {
		return given, nil
	}
	if err != nil {
		return nil, fmt.Errorf("kept trust bundle: %w", err)
	}
	replaced, err := rootFileReplaced(cfg, file)
	if err != nil {
		return nil, err
	}
	if replaced {
		return given, nil
	}
	roots, err := certificates(kept)
	if err != nil {
		return nil, fmt.Errorf("trust bundle in %s: %w", cfg.Dir, err)
	}
	return roots, nil
}

// rootFileReplaced says whether the root file is another one than when the bundle
// was learned. A directory of an older meshc does not say: then it is not.
func rootFileReplaced(cfg *Config, file []byte) (bool, error) {
	sum, err := privatefile.Read(filepath.Join(cfg.Dir, anchorFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("kept sum of the root file: %w", err)
	}
	return strings.TrimSpace(string(sum)) != sumOf(file), nil
}

func sumOf(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// keepBundle writes roots down as what is known, and which root file they come after.
// The sum goes first: a crash in between leaves a bundle that is older, and is believed.
func keepBundle(cfg *Config, bundlePEM []byte) error {
	if file, err := os.ReadFile(cfg.CARootFile); err == nil { // one that cannot be read is asked for no more
		if err := privatefile.Write(filepath.Join(cfg.Dir, anchorFile), []byte(sumOf(file)+"\n")); err != nil {
			return fmt.Errorf("keep the sum of the root file: %w", err)
		}
	}
	if err := privatefile.Write(filepath.Join(cfg.Dir, bundleFile), bundlePEM); err != nil {
		return fmt.Errorf("keep the trust bundle: %w", err)
	}
	return nil
}
