package ca

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/meshc/meshc/ca/keystore"
)

// A passphrase seals every key that is there, that of the root as well, which nobody
// opens for years; a key that cannot be sealed is told, not left in clear.
func TestAPassphraseSealsEveryKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	open(t, Config{Dir: dir})
	pass := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(pass, []byte("correct horse battery staple"), 0o600); err != nil {
		t.Fatal(err)
	}
	seal, err := keystore.PassphraseFile(pass)
	if err != nil {
		t.Fatal(err)
	}
	open(t, Config{Dir: dir, Seal: seal})
	keys, err := filepath.Glob(filepath.Join(dir, "keys", "*"))
	if err != nil || len(keys) != 3 {
		t.Fatalf("%v, %v", keys, err)
	}
	for _, path := range keys {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if block, _ := pem.Decode(data); block == nil || block.Type == "PRIVATE KEY" {
			t.Errorf("%s is in clear", filepath.Base(path))
		}
	}
	clear, err := keystore.OpenFiles(filepath.Join(dir, "keys"), nil)
	if err != nil {
		t.Fatal(err)
	}
	root := only(t, dir, "keys/root-*")
	if err := clear.Delete(filepath.Base(root[:len(root)-len(".key")])); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, TrustDomain: domain, Seal: seal}); err == nil {
		t.Error("a key that cannot be sealed was left as it is")
	}
}
