package slots

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// file has the book, in the directory of the journal.
const file = "ca.json"

// version of the file's format.
const version = 1

// record is the file.
type record struct {
	Version int             `json:"version"`
	Sum     string          `json:"sum"` // SHA-256 of book, hex
	Book    json.RawMessage `json:"book"`
}

// Journal keeps a Book in a file that is replaced in one step: after a crash it
// holds the book before a transition or the one after it. Keys are made before
// the book that names them is saved, and deleted after the book that names them no
// more: a key that no book names is what a crash left.
type Journal struct{ dir string }

// OpenJournal returns the journal in dir.
func OpenJournal(dir string) *Journal { return &Journal{dir: dir} }

// Lock excludes other processes, and goroutines of this one, until unlock is
// called.
func (j *Journal) Lock() (unlock func(), err error) { return privatefile.Lock(j.dir) }

// lockTime is how long a transition waits for those of others.
const lockTime = 5 * time.Second

// TryLock is Lock for those whom others wait for: it gives up with
// privatefile.ErrLocked after a few seconds.
func (j *Journal) TryLock() (unlock func(), err error) {
	return privatefile.LockWithin(filepath.Join(j.dir, privatefile.LockName), lockTime)
}

// Load reads the book. There being none is an error for which
// errors.Is(err, fs.ErrNotExist) holds; one that is damaged is never replaced.
func (j *Journal) Load() (*Book, error) {
	data, err := privatefile.Read(j.path())
	if err != nil {
		return nil, err
	}
	b, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", j.path(), err)
	}
	return b, nil
}

// Save replaces the book. When it has returned nil, the book is on disk; when it
// has not, the file holds either.
func (j *Journal) Save(b *Book) error {
	if err := b.Check(); err != nil {
		return fmt.Errorf("the authority's state would be wrong: %w", err)
	}
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	data, err := json.Marshal(record{Version: version, Sum: hex.EncodeToString(sum[:]), Book: body})
	if err != nil {
		return err
	}
	// What Load would refuse must not take the place of what it takes.
	if len(data) > privatefile.MaxSize {
		return fmt.Errorf("the authority's state would have %d bytes, more than the %d that are read", len(data), privatefile.MaxSize)
	}
	if _, err := decode(data); err != nil {
		return fmt.Errorf("the authority's state could not be read again: %w", err)
	}
	return privatefile.Write(j.path(), data)
}

// Stamp tells whether the file was replaced since another stamp was taken.
func (j *Journal) Stamp() (fs.FileInfo, error) { return os.Stat(j.path()) }

func (j *Journal) path() string { return filepath.Join(j.dir, file) }

func decode(data []byte) (*Book, error) {
	var r record
	if err := strictly(data, &r); err != nil {
		return nil, err
	}
	if r.Version != version {
		return nil, fmt.Errorf("it has the version %d, this program reads %d", r.Version, version)
	}
	if sum := sha256.Sum256(r.Book); r.Sum != hex.EncodeToString(sum[:]) {
		return nil, errors.New("it is damaged: its checksum is another one")
	}
	b := &Book{}
	if err := strictly(r.Book, b); err != nil {
		return nil, err
	}
	if err := b.Check(); err != nil {
		return nil, err
	}
	return b, nil
}

func strictly(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	if d.More() {
		return errors.New("it is damaged: there is data after its end")
	}
	return nil
}
