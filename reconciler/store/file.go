package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tempPrefix marks files that a crash may leave behind; nothing reads them.
const tempPrefix = ".tmp-"

// maxFile bounds what is read of one file, in bytes.
const maxFile = 256 << 20

// writeFile puts data at path so that a crash leaves the old content or the
// new, and a returned nil means that it has reached the disk.
func writeFile(path string, data []byte) error {
	if err := replaceFile(path, data, (*os.File).Sync); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// later leaves it to syncFiles to bring a file to the disk.
func later(*os.File) error { return nil }

// replaceFile is writeFile without making the new name durable. Content reaches
// the disk as sync has it.
func replaceFile(path string, data []byte, sync func(*os.File) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, tempPrefix+"*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, sync(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), removeFile(f.Name()))
	}
	return nil
}

// manyFiles is from how many on files are brought to the disk together: a
// file system takes milliseconds for each that is waited for by itself.
const manyFiles = 16

// syncFiles returns when files of dir, and their names, have reached the disk.
func syncFiles(dir string, paths []string) error {
	if len(paths) >= manyFiles {
		return syncFileSystem(dir)
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("sync %s: %w", path, err)
		}
	}
	return syncDir(dir)
}

// syncFileSystem brings everything of the file system of dir to the disk
// (syncfs(2)).
func syncFileSystem(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err = unix.Syncfs(int(d.Fd())); err != nil {
		err = fmt.Errorf("sync the file system of %s: %w", dir, err)
	}
	return errors.Join(err, d.Close())
}

// syncDir makes renames in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: %w: larger than %d bytes", path, ErrDamaged, maxFile)
	}
	return data, nil
}

// sweep removes what a crash left behind in dir.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			err = errors.Join(err, removeFile(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
