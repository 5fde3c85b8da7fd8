// Package cache keeps what a compile made in a directory, by the content that
// it was made of and the build of the compiler. Any number of processes may use
// one directory. What is lost or damaged there costs time and nothing else.
package cache

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// maxSize bounds a directory, in bytes; maxUnused is how many entries are
// written before its size is looked at.
const (
	maxSize   = 256 << 20
	maxUnused = 64
)

// tempPrefix begins the names of files that are being written.
const tempPrefix = "new-"

// Dir is a cache in a directory. It is safe for concurrent use.
type Dir struct {
	path    string
	build   string
	limit   int64
	written atomic.Int64
}

// Open gives the cache in a directory, which it makes when it is not there.
func Open(path string) (*Dir, error) {
	build, err := buildIdentity()
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	return &Dir{path: path, build: build, limit: maxSize}, nil
}

// Key names what is made by one stage of this build from some content.
func (d *Dir) Key(stage string, content ...[]byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %d", d.build, stage, len(content))
	var size []byte
	for _, c := range content {
		size = append(strconv.AppendInt(append(size[:0], ' '), int64(len(c)), 10), ' ')
		h.Write(size)
		h.Write(c)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (d *Dir) file(key string) string { return filepath.Join(d.path, key[:2], key[2:]) }

// Get gives what was put under a key, unless it is lost or damaged.
func (d *Dir) Get(key string) ([]byte, bool) {
	name := d.file(key)
	data, err := os.ReadFile(name)
	if err != nil || len(data) < sha256.Size {
		return nil, false
	}
	sum, value := data[:sha256.Size], data[sha256.Size:]
	if want := sha256.Sum256(value); !bytes.Equal(sum, want[:]) {
		return nil, false
	}
	if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > time.Hour {
		now := time.Now()
		_ = os.Chtimes(name, now, now) // who is used last is thrown away last
	}
	return value, true
}

// Put keeps a value. That it cannot be kept is no error of the compile.
func (d *Dir) Put(key string, value []byte) { d.PutParts(key, slices.Values([][]byte{value})) }

// PutParts keeps a value that is made part by part, and never there as a whole.
func (d *Dir) PutParts(key string, parts iter.Seq[[]byte]) {
	if writeWhole(d.file(key), parts) != nil {
		return
	}
	if d.written.Add(1)%maxUnused == 1 {
		d.trim()
	}
}

// writeWhole replaces a file in one step, so that readers see all or nothing: the
// digest of a value, and the value.
func writeWhole(name string, parts iter.Seq[[]byte]) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), tempPrefix+"*")
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // or a part could not be made
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := writeSummed(f, parts); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	done = true
	return nil
}

// writeSummed leaves room for the digest, which is known in the end.
func writeSummed(f *os.File, parts iter.Seq[[]byte]) error {
	h := sha256.New()
	buffered := bufio.NewWriterSize(f, 64<<10)
	if _, err := buffered.Write(make([]byte, sha256.Size)); err != nil {
		return err
	}
	for part := range parts {
		h.Write(part)
		if _, err := buffered.Write(part); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	_, err := f.WriteAt(h.Sum(nil), 0)
	return err
}

// ours says whether a file below the directory is an entry, or what a process
// that was killed has left of one. Whatever else lies there is somebody's.
func (d *Dir) ours(name string) bool {
	rel, err := filepath.Rel(d.path, name)
	if err != nil {
		return false
	}
	dir, file := filepath.Split(rel)
	if strings.HasPrefix(file, tempPrefix) {
		return isHex(filepath.Clean(dir), 2)
	}
	return isHex(filepath.Clean(dir), 2) && isHex(file, 2*sha256.Size-2)
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// trim removes the entries that were unused for longest until the rest fits.
func (d *Dir) trim() {
	type entry struct {
		name string
		size int64
		used time.Time
	}
	var all []entry
	var total int64
	_ = filepath.WalkDir(d.path, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil: // another process trims as well
			return nil
		case e.IsDir():
			if name != d.path && !isHex(e.Name(), 2) {
				return fs.SkipDir
			}
			return nil
		case !d.ours(name):
			return nil
		}
		if info, err := e.Info(); err == nil {
			all = append(all, entry{name, info.Size(), info.ModTime()})
			total += info.Size()
		}
		return nil
	})
	slices.SortFunc(all, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range all {
		if total <= d.limit {
			return
		}
		if os.Remove(e.name) == nil {
			total -= e.size
		}
	}
}
