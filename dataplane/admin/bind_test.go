package admin

import (
	"os"
	"path/filepath"
	"testing"
)

// The file has its mode before anybody could have opened it with another.
func TestBindHasTheModeAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := bind(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
