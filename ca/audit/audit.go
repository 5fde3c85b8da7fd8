// Package audit keeps a line of JSON for each certificate and token that an
// authority issues, and for each change of its keys that was asked for. The line is on disk before what it tells of leaves the process,
// so that nothing is out there that nobody can account for.
package audit

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// MaxSize is the size, in bytes, from which a file is put aside under the name
// FILE.<time>. What was put aside is never deleted.
const MaxSize = 64 << 20

// Record is a line. All of it is public.
type Record struct {
	Time      time.Time `json:"time"`
	Kind      string    `json:"kind"` // X509SVID, jwt-svid, rotate or taint
	SPIFFEID  string    `json:"spiffeID,omitempty"`
	Workload  string    `json:"workload,omitempty"` // namespace/name, as attested
	Method    string    `json:"method"`             // how the caller proved who it is
	Peer      string    `json:"peer,omitempty"`
	Serial    string    `json:"serial,omitempty"`    // hex
	PublicKey string    `json:"publicKey,omitempty"` // SHA-256 of its SubjectPublicKeyInfo, hex
	Audience  []string  `json:"audience,omitempty"`  // of a token
	Issuer    string    `json:"issuer,omitempty"`    // serial of the issuer's certificate, or the ID of the key
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Key       string    `json:"key,omitempty"`    // rotate: root or issuer; taint: the name of the key
	Reason    string    `json:"reason,omitempty"` // of a taint
}

// Fingerprint is what a record says of a public key.
func Fingerprint(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Stdout is the path of a log that goes to standard output, for those who collect
// it from there; nothing waits for a disk then.
const Stdout = "-"

// Log is a file of records, mode 0600. It is safe for concurrent use; calls at the
// same time share one write to the disk. Several processes may use one file.
type Log struct {
	stream io.Writer // in place of a file
	path   string
	now    func() time.Time
	open   func(path string) (file, error)

	queue  sync.Mutex
	lines  []byte
	joined *group // that takes part in the next write

	disk sync.Mutex // held while writing

	index index // of what was written
}

// group is the calls that one write is for.
type group struct {
	done bool
	err  error
}

// file is what a Log needs of one.
type file interface {
	io.Writer
	Sync() error
	Close() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

// Open returns the log in path; its directory must be there. A line that a crash
// has cut off is taken away: what it told of was not given to anybody.
func Open(path string, now func() time.Time) (*Log, error) {
	if path == Stdout {
		return &Log{stream: os.Stdout}, nil
	}
	l := &Log{path: path, now: now, open: openFile}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	unlock, err := l.lock()
	if err == nil {
		err = repair(path)
		unlock()
	}
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return l, nil
}

// lockTime is how long a write waits for those of other processes.
const lockTime = 10 * time.Second

// lock keeps other processes from the file, also while it is put aside: nobody may add
// to what another one is about to cut off.
func (l *Log) lock() (unlock func(), err error) {
	dir, name := filepath.Split(l.path)
	unlock, err = privatefile.LockWithin(filepath.Join(dir, "."+name+".lock"), lockTime)
	if err != nil {
		return func() {}, err
	}
	return unlock, nil
}

// repair takes a line away that has no end: a crash has cut it off, or a disk that
// failed and could not be cut back. The lock is held.
func repair(path string) error {
	data, err := readTail(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if cut := len(data) - 1 - bytes.LastIndexByte(data, '\n'); cut > 0 {
		return shorten(path, int64(cut))
	}
	return nil
}

// Write adds a record. When it has returned nil, the record is on disk.
func (l *Log) Write(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	l.queue.Lock()
	if l.joined == nil {
		l.joined = &group{}
	}
	mine := l.joined
	l.lines = append(append(l.lines, line...), '\n')
	l.queue.Unlock()

	l.disk.Lock()
	defer l.disk.Unlock()
	if !mine.done {
		l.queue.Lock()
		lines := l.lines
		l.lines, l.joined = nil, nil
		l.queue.Unlock()
		mine.err, mine.done = l.append(lines), true
	}
	if mine.err != nil {
		return fmt.Errorf("audit log: %w", mine.err)
	}
	return nil
}

// append writes whole lines or none.
func (l *Log) append(lines []byte) (err error) {
	if l.stream != nil {
		_, err := l.stream.Write(lines)
		return err
	}
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := repair(l.path); err != nil {
		return err
	}
	f, err := l.open(l.path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err = privatefile.Step("append", l.path); err == nil {
		_, err = f.Write(lines)
	}
	if err == nil {
		err = privatefile.Step("fsync", l.path)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(info.Size()))
	}
	if info.Size() == 0 {
		err = privatefile.SyncDir(filepath.Dir(l.path))
	}
	if info.Size()+int64(len(lines)) >= MaxSize {
		aside := l.path + "." + l.now().UTC().Format("20060102T150405.000000000Z")
		err = errors.Join(err, os.Rename(l.path, aside))
	}
	return err
}

func openFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// longest is more than any line has, in bytes.
const longest = 64 << 10

// readTail gives the end of a file.
func readTail(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s is not a file that its owner alone may read", path)
	}
	from := max(0, info.Size()-longest)
	data := make([]byte, info.Size()-from)
	_, err = f.ReadAt(data, from)
	return data, err
}

func shorten(path string, by int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = f.Truncate(info.Size() - by)
	}
	return errors.Join(err, f.Sync())
}
