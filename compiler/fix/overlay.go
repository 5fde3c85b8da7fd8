package fix

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
)

// overlay is a tree of files of which some have other content.
type overlay struct {
	fs.FS
	changed map[string][]byte
}

// over gives an overlay that changes nothing.
func over(fsys fs.FS) *overlay { return &overlay{FS: fsys, changed: map[string][]byte{}} }

func (o *overlay) clone() *overlay {
	return &overlay{FS: o.FS, changed: maps.Clone(o.changed)}
}

// Open gives the changed content where there is one.
func (o *overlay) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(name)
	data, ok := o.changed[name]
	if err != nil || !ok {
		return f, err
	}
	return &changedFile{File: f, Reader: bytes.NewReader(data), size: int64(len(data))}, nil
}

// ReadDir lists what lies below: a change makes no file and removes none.
func (o *overlay) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(o.FS, name) }

// changedFile is a file of which the content and the size are others.
type changedFile struct {
	fs.File
	io.Reader
	size int64
}

// Read reads the changed content.
func (f *changedFile) Read(p []byte) (int, error) { return f.Reader.Read(p) }

// Stat gives the file's own data with the size of the changed content.
func (f *changedFile) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	return changedInfo{info, f.size}, err
}

type changedInfo struct {
	fs.FileInfo
	size int64
}

// Size of the changed content in bytes.
func (i changedInfo) Size() int64 { return i.size }
