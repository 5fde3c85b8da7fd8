package source

import (
	"bytes"
	"cmp"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// node is one file or directory. It is immutable once the index is built and
// serves as its own fs.FileInfo.
type node struct {
	name     string
	mode     fs.FileMode
	modTime  time.Time // the commit's
	hash     plumbing.Hash
	data     []byte  // of a file; never handed out without a copy
	children []*node // by name
}

func (n *node) Name() string               { return n.name }
func (n *node) Size() int64                { return int64(len(n.data)) }
func (n *node) Mode() fs.FileMode          { return n.mode }
func (n *node) ModTime() time.Time         { return n.modTime }
func (n *node) IsDir() bool                { return n.mode.IsDir() }
func (n *node) Sys() any                   { return blob(n.hash) }
func (n *node) Type() fs.FileMode          { return n.mode.Type() }
func (n *node) Info() (fs.FileInfo, error) { return n, nil }

// blob names the content of a file, as compiler/load.Named wants it.
type blob plumbing.Hash

// ContentName is the hash of the object.
func (b blob) ContentName() string { return string(b[:]) }

func (n *node) sort() {
	slices.SortFunc(n.children, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
}

func (n *node) child(name string) *node {
	i, found := slices.BinarySearchFunc(n.children, name, func(c *node, s string) int { return cmp.Compare(c.name, s) })
	if !found {
		return nil
	}
	return n.children[i]
}

// treeFS is a commit's directory as a read-only file system, safe for
// concurrent use.
type treeFS struct{ root *node }

var (
	_ fs.ReadDirFS  = (*treeFS)(nil)
	_ fs.ReadFileFS = (*treeFS)(nil)
	_ fs.StatFS     = (*treeFS)(nil)
)

func (t *treeFS) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n := t.root
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if n = n.child(part); n == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
	}
	return n, nil
}

// Open implements fs.FS.
func (t *treeFS) Open(name string) (fs.File, error) {
	n, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.IsDir() {
		return &openDir{node: n, name: name}, nil
	}
	return &openFile{node: n, Reader: bytes.NewReader(n.data)}, nil
}

// ReadFile implements fs.ReadFileFS.
func (t *treeFS) ReadFile(name string) ([]byte, error) {
	n, err := t.find("read", name)
	if err != nil {
		return nil, err
	}
	if n.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errIsDir}
	}
	return bytes.Clone(n.data), nil
}

// Stat implements fs.StatFS.
func (t *treeFS) Stat(name string) (fs.FileInfo, error) {
	n, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// ReadDir implements fs.ReadDirFS; entries are sorted by name.
func (t *treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	return entries(n.children), nil
}

func entries(nodes []*node) []fs.DirEntry {
	list := make([]fs.DirEntry, len(nodes))
	for i, n := range nodes {
		list[i] = n
	}
	return list
}

// openFile is an open file; bytes.Reader gives it Seek and ReadAt.
type openFile struct {
	*bytes.Reader
	node *node
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.node, nil }
func (f *openFile) Close() error               { return nil }

// openDir is an open directory with a position.
type openDir struct {
	node *node
	name string
	next int
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.node, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errIsDir}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.node.children[d.next:]
	if n > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	if n > 0 && n < len(rest) {
		rest = rest[:n]
	}
	d.next += len(rest)
	return entries(rest), nil
}

type pathReason string

func (r pathReason) Error() string { return string(r) }

const (
	errIsDir  pathReason = "is a directory"
	errNotDir pathReason = "is not a directory"
)

// FromFiles is a tree of files by their slash-separated paths, read-only as that
// of a commit is, and with names of content as Git gives them.
func FromFiles(files map[string][]byte) fs.FS {
	root := &node{name: ".", mode: fs.ModeDir | 0o555}
	for name, data := range files {
		dir := root
		parts := strings.Split(name, "/")
		for _, part := range parts[:len(parts)-1] {
			next := dir.find(part)
			if next == nil {
				next = &node{name: part, mode: fs.ModeDir | 0o555}
				dir.children = append(dir.children, next)
			}
			dir = next
		}
		dir.children = append(dir.children, &node{name: parts[len(parts)-1], mode: 0o444, data: data})
	}
	root.finish()
	return &treeFS{root: root}
}

// find is child of a node that is not sorted yet.
func (n *node) find(name string) *node {
	i := slices.IndexFunc(n.children, func(c *node) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return n.children[i]
}

// finish sorts what is below, and names the content of everything.
func (n *node) finish() {
	if !n.IsDir() {
		n.hash = plumbing.ComputeHash(plumbing.BlobObject, n.data)
		return
	}
	n.sort()
	var listing []byte
	for _, c := range n.children {
		c.finish()
		listing = append(append(append(listing, c.mode.String()+" "+c.name...), 0), c.hash[:]...)
	}
	n.hash = plumbing.ComputeHash(plumbing.TreeObject, listing)
}
