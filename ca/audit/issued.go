package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// X509SVID is the kind of the record of a certificate.
const X509SVID = "x509-svid"

// index is what was read of the log: the certificates that have not ended, by serial
// number, and how far each file was read.
type index struct {
	mu     sync.Mutex
	read   map[uint64]int64 // bytes of a file that were read, by inode
	issued map[string]Record
	pruned int // certificates that were left when those that had ended were last forgotten
}

// Issued gives the record of a certificate by its serial number (hex) that was issued
// after since and has not ended at the time now, by whichever process writes to
// this file. A log that goes to standard output tells nothing.
func (l *Log) Issued(serial string, since, now time.Time) (Record, bool, error) {
	if l.stream != nil {
		return Record{}, false, errors.New("the log of what was issued goes to standard output, and cannot be asked")
	}
	l.index.mu.Lock()
	defer l.index.mu.Unlock()
	if r, ok := l.index.issued[serial]; ok {
		return r, now.Before(r.NotAfter), nil
	}
	aside, err := filepath.Glob(l.path + ".*")
	if err != nil {
		return Record{}, false, err
	}
	for _, path := range append(aside, l.path) {
		if err := l.index.catchUp(path, since, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Record{}, false, err
		}
	}
	l.index.prune(now)
	r, ok := l.index.issued[serial]
	return r, ok, nil
}

// catchUp reads what a file has got since it was read last. One that nobody has
// written to after since is not looked into.
func (x *index) catchUp(path string, since, now time.Time) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || info.ModTime().Before(since) {
		return nil
	}
	if x.read == nil {
		x.read, x.issued = map[uint64]int64{}, map[string]Record{}
	}
	from := x.read[st.Ino]
	if from > info.Size() {
		from = 0 // it is another file, or was cut
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err
	}
	lines := bufio.NewReaderSize(f, longest)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // what has no end yet is read the next time
		}
		if err != nil {
			return err
		}
		from += int64(len(line))
		var r Record
		if json.Unmarshal(line, &r) == nil && r.Kind == X509SVID && now.Before(r.NotAfter) {
			x.issued[r.Serial] = r
		}
	}
	x.read[st.Ino] = from
	return nil
}

// prune forgets the certificates that have ended, when there are many.
func (x *index) prune(now time.Time) {
	if len(x.issued) < 2*x.pruned+1024 {
		return
	}
	for serial, r := range x.issued {
		if !now.Before(r.NotAfter) {
			delete(x.issued, serial)
		}
	}
	x.pruned = len(x.issued)
}
