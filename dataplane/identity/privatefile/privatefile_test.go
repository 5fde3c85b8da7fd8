package privatefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestWriteThenReadGivesTheBytesWithMode0600(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := EnsureDir(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "key")
	for _, want := range []string{"first", "second"} {
		if err := Write(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil || string(got) != want {
			t.Fatalf("Read = %q, %v; want %q", got, err, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Fatalf("directory mode %v", info.Mode())
	}
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	if err != nil || len(left) != 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
}

func TestWhatOthersCanOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := Write(secret, []byte("x")); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(link); err == nil {
		t.Error("a symbolic link was followed")
	}
	if _, err := Read(dir); err == nil {
		t.Error("a directory was read")
	}
	if err := EnsureDir(secret); err == nil {
		t.Error("a file passed for a directory")
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(secret); err == nil || !strings.Contains(err.Error(), "mode") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := EnsureDir(dir); err == nil {
		t.Error("a directory of mode 0750 was accepted")
	}
}

func TestMissingAndOversizedFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	big := filepath.Join(dir, "big")
	if err := Write(big, make([]byte, MaxSize+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(big); err == nil {
		t.Error("a file above MaxSize was read")
	}
	if err := Write(filepath.Join(dir, "no", "dir"), nil); err == nil {
		t.Error("written into a missing directory")
	}
}

func TestLockOrdersWriters(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "counter")
	if err := Write(path, []byte("0")); err != nil {
		t.Fatal(err)
	}
	increment := func() error {
		unlock, err := Lock(dir)
		if err != nil {
			return err
		}
		defer unlock()
		data, err := Read(path)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(data))
		if err != nil {
			return err
		}
		return Write(path, []byte(strconv.Itoa(n+1)))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if err := increment(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, err := Read(path); err != nil || string(got) != "80" {
		t.Errorf("counter %s, %v; want 80", got, err)
	}
}
