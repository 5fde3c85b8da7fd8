package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxLog is the size in bytes from which a log file is moved aside. It is looked
// at a few times a second.
const maxLog = 16 << 20

// oldSuffix names what was moved aside last.
const oldSuffix = ".1"

// RotateLogs moves the content of log files that have grown large aside, where
// it replaces what was moved before.
func (s *Supervisor) RotateLogs() error {
	var failed []error
	for _, name := range s.Names() {
		if err := rotate(s.logFile(name), maxLog); err != nil {
			failed = append(failed, fmt.Errorf("rotate the log of %s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}

// rotate copies the end of a file that is larger than limit and empties it. Its
// writers hold it open for appending, so it cannot be renamed under them; what
// they write in the moment between is lost.
func rotate(path string, limit int64) (err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= limit {
		return nil
	}
	if err != nil {
		return err
	}
	log, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	old, err := os.OpenFile(path+oldSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = log.Seek(info.Size()-limit, io.SeekStart)
	if err == nil {
		_, err = io.CopyN(old, log, 2*limit) // a writer that is quicker than this has to be cut
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, old.Close()); err != nil {
		return err
	}
	return log.Truncate(0)
}
