// Package privatefile reads and writes files that only their owner may see:
// directories of mode 0700, files of mode 0600, replaced in one step. A
// directory or file that others can open is refused instead of used.
package privatefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// MaxSize bounds what Read takes into memory, in bytes. Keys, chains and
// bundles are a few KiB.
const MaxSize = 1 << 20

// EnsureDir makes dir, and its parents, when it is missing, with mode 0700.
// An existing dir must be a real directory, owned by this user and closed to
// everybody else.
func EnsureDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	return checkOwner(dir, info)
}

// Read returns the content of path. It refuses a symbolic link, anything that
// is not a regular file, a file that others can open and one above MaxSize.
// A missing file is an error for which errors.Is(err, fs.ErrNotExist) holds.
func Read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err := checkOwner(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", path, err)
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("file %s is larger than %d bytes", path, MaxSize)
	}
	return data, nil
}

// Write replaces the content of path in one step: after a crash the file holds
// all of the old bytes or all of the new ones, and when Write has returned nil
// the new ones are on disk.
func Write(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := Step("create", path); err != nil {
		return fmt.Errorf("file %s: %w", path, err)
	}
	f, err := os.CreateTemp(dir, unfinished+"*") // CreateTemp makes mode 0600
	if err != nil {
		return fmt.Errorf("file %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("file %s: %w", path, err), ignoreMissing(os.Remove(f.Name())))
		}
	}()
	if err = Step("write", f.Name()); err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = Step("fsync", f.Name())
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err = Step("rename", path); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// Step is asked before each change of the disk, what is done and to which file: an
// error makes the change fail, which is how tests have disks that are full or dying,
// and processes that are killed at a moment of their choice. It does nothing otherwise,
// and is set before anything else runs.
var Step = func(what, path string) error { return nil }

// unfinished is how the names of files begin that Write has not put in place yet.
const unfinished = ".new-"

// Sweep deletes what a Write that was killed has left in dir. Nobody may write there
// meanwhile.
func Sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, unfinished+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Remove deletes a file for good: it does not come back after a crash.
func Remove(path string) error {
	if err := Step("remove", path); err != nil {
		return fmt.Errorf("file %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes creations and removals of names in dir durable.
func SyncDir(dir string) error {
	if err := Step("fsync directory", dir); err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	return nil
}

// LockName is the name of the file that Lock locks.
const LockName = "lock"

// Lock takes the exclusive advisory lock of dir (file "lock" in it) and waits
// for it. It orders everybody who changes files of the directory under it,
// processes as well as goroutines of one; it does not guard memory.
func Lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, LockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing gives the lock back
}

// ErrLocked is the answer for a lock that somebody else holds.
var ErrLocked = errors.New("somebody else holds it")

// lockPause is the time between two looks at a lock.
const lockPause = 10 * time.Millisecond

// LockWithin takes the exclusive advisory lock of a file, which is made when it is
// missing, and gives up with ErrLocked when it is not to be had within a time.
func LockWithin(path string, within time.Duration) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for end := time.Now().Add(within); ; time.Sleep(lockPause) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil // closing gives the lock back
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		case !time.Now().Before(end):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, ErrLocked), f.Close())
		}
	}
}

func checkOwner(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o: nobody but its owner may have access (chmod go= %s)", path, mode, path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, not to the user %d who runs this program", path, st.Uid, os.Geteuid())
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
