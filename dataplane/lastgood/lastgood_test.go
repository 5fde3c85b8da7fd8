package lastgood

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

func resources(t *testing.T, secret *tlsv3.Secret) []*discoveryv3.Resource {
	t.Helper()
	packed, err := anypb.New(secret)
	if err != nil {
		t.Fatal(err)
	}
	return []*discoveryv3.Resource{{Name: secret.GetName(), Version: "1", Resource: packed}}
}

var bundle = &tlsv3.Secret{Name: "bundle|d", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{}}}

func open(t *testing.T, dir, id string) *Store {
	t.Helper()
	s, err := Open(dir, id, "node")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSavedIsLoaded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	s := open(t, dir, "spiffe://d/a")
	if _, err := s.Load(); !errors.Is(err, ErrNone) {
		t.Errorf("empty directory: error %v", err)
	}
	for _, version := range []string{"1", "2"} {
		want := resources(t, bundle)
		want[0].Version = version
		if err := s.Save(want); err != nil {
			t.Fatal(err)
		}
		got, err := open(t, dir, "spiffe://d/a").Load()
		if err != nil || len(got) != 1 || !proto.Equal(got[0], want[0]) {
			t.Errorf("got %v, %v", got, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOtherOwnerIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir, "spiffe://d/a").Save(resources(t, bundle)); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir, "spiffe://d/b").Load(); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("error %v", err)
	}
	other, err := Open(dir, "spiffe://d/a", "other node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Load(); err == nil {
		t.Error("a file of another node was taken")
	}
}

// Every flipped byte and every cut is noticed.
func TestDamageIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "spiffe://d/a")
	if err := s.Save(resources(t, bundle)); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x20
		if _, err := s.parse(bad); err == nil {
			t.Errorf("byte %d flipped: taken", i)
		}
		if _, err := s.parse(good[:i]); err == nil {
			t.Errorf("cut to %d bytes: taken", i)
		}
	}
	if _, err := s.parse(good); err != nil {
		t.Errorf("the good file: %v", err)
	}
}

func TestFileThatOthersCouldWriteIsRefused(t *testing.T) {
	s := open(t, t.TempDir(), "spiffe://d/a")
	if err := s.Save(resources(t, bundle)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); err == nil {
		t.Error("taken")
	}
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", s.path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); err == nil {
		t.Error("a link was followed")
	}
}

// The checksum proves nothing about who wrote the file; its owner does.
func TestFileOfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	s := open(t, t.TempDir(), "spiffe://d/a")
	if err := s.Save(resources(t, bundle)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(s.path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); err == nil {
		t.Error("taken")
	}
}

func TestPrivateKeyIsNotWritten(t *testing.T) {
	s := open(t, t.TempDir(), "spiffe://d/a")
	key := &tlsv3.Secret{Name: "default", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		PrivateKey: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: "key"}},
	}}}
	if err := s.Save(resources(t, key)); err == nil {
		t.Error("written")
	}
	if _, err := s.Load(); !errors.Is(err, ErrNone) {
		t.Errorf("error %v", err)
	}
}

func TestFailedWriteLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "spiffe://d/a")
	if err := s.Save(resources(t, bundle)); err != nil {
		t.Fatal(err)
	}
	broken := &Store{path: filepath.Join(dir, "missing", fileName), owner: s.owner}
	if err := broken.Save(resources(t, bundle)); err == nil {
		t.Error("written into nothing")
	}
	if got, err := s.Load(); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	s := &Store{owner: []byte("a\nb")}
	f.Add([]byte(magic))
	f.Add([]byte(fmt.Sprintf("%s%064d", magic, 0)))
	f.Fuzz(func(_ *testing.T, raw []byte) { _, _ = s.parse(raw) })
}
