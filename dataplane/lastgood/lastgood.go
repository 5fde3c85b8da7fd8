// Package lastgood keeps the configuration that served last on disk, so that a
// proxy started while the control plane is away serves at once. It stores
// resources as they came over xDS, which never hold a private key; one that
// could is refused.
package lastgood

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
)

// Format: magic, SHA-256 of the rest, length of the owner, owner, and a
// DeltaDiscoveryResponse that holds the resources.
const (
	magic    = "meshc last good 1\n"
	fileName = "config"
	maxSize  = 256 << 20
)

// ErrNone says that nothing was saved.
var ErrNone = errors.New("no configuration was saved")

// Store is one directory. Only one proxy may use it at a time. Its methods are
// for one goroutine.
type Store struct {
	path  string
	owner []byte
}

// Open makes the directory (mode 0700) if it is missing. spiffeID and node
// name whose configuration it is: one saved by another owner is refused.
func Open(dir, spiffeID, node string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("last good: %w", err)
	}
	return &Store{path: filepath.Join(dir, fileName), owner: []byte(spiffeID + "\n" + node)}, nil
}

// Save writes the resources whole or not at all (mode 0600).
func (s *Store) Save(resources []*discoveryv3.Resource) error {
	for _, r := range resources {
		if err := checkNoKey(r); err != nil {
			return fmt.Errorf("last good: %w", err)
		}
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(&discoveryv3.DeltaDiscoveryResponse{Resources: resources})
	if err != nil {
		return fmt.Errorf("last good: %w", err)
	}
	body := binary.BigEndian.AppendUint32(nil, uint32(len(s.owner)))
	body = append(append(body, s.owner...), payload...)
	sum := sha256.Sum256(body)
	if err := s.replace(append(append([]byte(magic), sum[:]...), body...)); err != nil {
		return fmt.Errorf("last good: %w", err)
	}
	return nil
}

// checkNoKey opens secrets only: no other resource of xDS has a field for a
// key that the decoders accept.
func checkNoKey(r *discoveryv3.Resource) error {
	secret := new(tlsv3.Secret)
	if !r.GetResource().MessageIs(secret) {
		return nil
	}
	if err := r.GetResource().UnmarshalTo(secret); err != nil {
		return fmt.Errorf("secret %q: %w", r.GetName(), err)
	}
	if secret.GetValidationContext() == nil {
		return fmt.Errorf("secret %q is not a trust bundle and is not written to disk", r.GetName())
	}
	return nil
}

// replace writes beside the file and renames, so that a crash or a full disk
// leaves the old one.
func (s *Store) replace(raw []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(s.path), fileName+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path)
}

// Load gives what was saved. A file that is damaged, of another owner or open
// to other users is an error, and ErrNone is in the error when there is none.
func (s *Store) Load() ([]*discoveryv3.Resource, error) {
	raw, err := s.read()
	if err != nil {
		return nil, fmt.Errorf("last good: %w", err)
	}
	resources, err := s.parse(raw)
	if err != nil {
		return nil, fmt.Errorf("last good: %s: %w", s.path, err)
	}
	return resources, nil
}

func (s *Store) read() ([]byte, error) {
	// What is checked is what is read: one open file, no link, no waiting for a pipe.
	f, err := os.OpenFile(s.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", s.path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s has mode %04o, others could have written it", s.path, info.Mode().Perm())
	case !ok || int(owner.Uid) != os.Geteuid():
		return nil, fmt.Errorf("%s belongs to another user", s.path)
	case info.Size() > maxSize:
		return nil, fmt.Errorf("%s has %d bytes, more than %d", s.path, info.Size(), maxSize)
	}
	return io.ReadAll(io.LimitReader(f, maxSize))
}

func (s *Store) parse(raw []byte) ([]*discoveryv3.Resource, error) {
	rest, ok := bytes.CutPrefix(raw, []byte(magic))
	if !ok || len(rest) < sha256.Size+4 {
		return nil, errors.New("not a saved configuration of this version")
	}
	sum, body := rest[:sha256.Size], rest[sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, errors.New("checksum does not match: the file is damaged")
	}
	n := int64(binary.BigEndian.Uint32(body))
	if n > int64(len(body)-4) {
		return nil, errors.New("owner is cut off")
	}
	owner, payload := body[4:4+n], body[4+n:]
	if !bytes.Equal(owner, s.owner) {
		return nil, fmt.Errorf("saved for %q, this proxy is %q", owner, s.owner)
	}
	saved := new(discoveryv3.DeltaDiscoveryResponse)
	if err := proto.Unmarshal(payload, saved); err != nil {
		return nil, err
	}
	return saved.GetResources(), nil
}
