package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// maxDepth bounds directories within directories and tags of tags, so that a
// crafted repository cannot exhaust the stack.
const maxDepth = 64

func cleanDir(dir string) (string, error) {
	if dir == "" {
		return ".", nil
	}
	clean := path.Clean(dir)
	if !fs.ValidPath(clean) || strings.Contains(dir, "\\") {
		return "", fmt.Errorf("directory %q is not a slash-separated path inside the repository", dir)
	}
	return clean, nil
}

// peel follows annotated tags down to a commit.
func peel(get func(plumbing.ObjectType, plumbing.Hash) (plumbing.EncodedObject, error), h plumbing.Hash) (plumbing.Hash, error) {
	for range maxDepth {
		obj, err := get(plumbing.AnyObject, h)
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("object %s: %w", h, err)
		}
		switch obj.Type() {
		case plumbing.CommitObject:
			return h, nil
		case plumbing.TagObject:
			tag := &object.Tag{}
			if err := tag.Decode(obj); err != nil {
				return plumbing.ZeroHash, fmt.Errorf("tag %s: %w", h, err)
			}
			h = tag.Target
		default:
			return plumbing.ZeroHash, fmt.Errorf("object %s is a %s, not a commit", h, obj.Type())
		}
	}
	return plumbing.ZeroHash, fmt.Errorf("tag %s: %w: more than %d tags of tags", h, ErrLimit, maxDepth)
}

// newTree reads directory dir of a commit: every entry is visited and judged,
// and every file is read and hashed, so that what is given out is whole and no
// longer depends on a repository that git may repack at any moment.
func newTree(ctx context.Context, objects storer.EncodedObjectStorer, commit, dir string, limits Limits) (fs.FS, error) {
	c, err := object.GetCommit(objects, plumbing.NewHash(commit))
	if err != nil {
		return nil, fmt.Errorf("commit object: %w", err)
	}
	root, err := object.GetTree(objects, c.TreeHash)
	if err != nil {
		return nil, fmt.Errorf("tree of the commit: %w", err)
	}
	if root, err = subtree(objects, root, dir); err != nil {
		return nil, err
	}
	ix := &indexer{ctx: ctx, objects: objects, limits: limits, prefix: dir}
	top := &node{name: ".", hash: root.Hash, mode: fs.ModeDir | 0o555, modTime: c.Committer.When}
	if err := ix.add(root, top, ".", 0); err != nil {
		return nil, err
	}
	return &treeFS{root: top}, nil
}

// subtree walks to dir one name at a time; a symlink on the way is refused
// like one inside.
func subtree(objects storer.EncodedObjectStorer, tree *object.Tree, dir string) (*object.Tree, error) {
	if dir == "." {
		return tree, nil
	}
	seen := ""
	for name := range strings.SplitSeq(dir, "/") {
		seen = path.Join(seen, name)
		entry, err := findEntry(tree, name)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: seen, Err: err}
		}
		if entry.Mode != filemode.Dir {
			return nil, refusal(seen, entry.Mode, "is not a directory")
		}
		if tree, err = object.GetTree(objects, entry.Hash); err != nil {
			return nil, fmt.Errorf("directory %q: %w", seen, err)
		}
	}
	return tree, nil
}

func findEntry(tree *object.Tree, name string) (object.TreeEntry, error) {
	for _, e := range tree.Entries {
		if e.Name == name {
			return e, nil
		}
	}
	return object.TreeEntry{}, fs.ErrNotExist
}

// indexer builds nodes and counts what they cost.
type indexer struct {
	ctx     context.Context // of the one call that builds the index
	objects storer.EncodedObjectStorer
	limits  Limits
	prefix  string
	count   int
	bytes   int64
}

func (ix *indexer) add(tree *object.Tree, parent *node, dir string, depth int) error {
	if err := ix.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("directory %q: %w: more than %d levels", ix.full(dir), ErrLimit, maxDepth)
	}
	seen := make(map[string]bool, len(tree.Entries))
	for _, e := range tree.Entries {
		child := path.Join(dir, e.Name)
		if !validName(e.Name) || seen[e.Name] {
			return fmt.Errorf("%w: entry %q of directory %q has an unusable name", ErrRefused, e.Name, ix.full(dir))
		}
		seen[e.Name] = true
		n, err := ix.entry(e, parent, child, depth)
		if err != nil {
			return err
		}
		parent.children = append(parent.children, n)
	}
	parent.sort()
	return nil
}

func (ix *indexer) entry(e object.TreeEntry, parent *node, child string, depth int) (*node, error) {
	if ix.count++; ix.count > ix.limits.Files {
		return nil, fmt.Errorf("%w: more than %d files and directories under %q", ErrLimit, ix.limits.Files, ix.prefix)
	}
	n := &node{name: e.Name, hash: e.Hash, modTime: parent.modTime, mode: 0o444}
	switch e.Mode {
	case filemode.Dir:
		n.mode = fs.ModeDir | 0o555
		sub, err := object.GetTree(ix.objects, e.Hash)
		if err != nil {
			return nil, fmt.Errorf("directory %q: %w", ix.full(child), err)
		}
		return n, ix.add(sub, n, child, depth+1)
	case filemode.Regular, filemode.Executable, filemode.Deprecated:
		return n, ix.read(n, child)
	}
	return nil, refusal(ix.full(child), e.Mode, "has mode "+e.Mode.String())
}

func (ix *indexer) read(n *node, child string) error {
	size, err := blobSize(ix.objects, n.hash)
	if err != nil {
		return fmt.Errorf("file %q: %w", ix.full(child), err)
	}
	if size > ix.limits.FileBytes {
		return fmt.Errorf("file %q: %w: %d bytes, at most %d are read", ix.full(child), ErrLimit, size, ix.limits.FileBytes)
	}
	if ix.bytes += size; ix.bytes > ix.limits.TotalBytes {
		return fmt.Errorf("file %q: %w: more than %d bytes under %q", ix.full(child), ErrLimit, ix.limits.TotalBytes, ix.prefix)
	}
	if n.data, err = readBlob(ix.objects, n.hash, size); err != nil {
		return fmt.Errorf("file %q: %w", ix.full(child), err)
	}
	return nil
}

// full is the path as the user sees it in the repository.
func (ix *indexer) full(p string) string { return path.Join(ix.prefix, p) }

// refusal names what stands at p when it is neither a file nor a directory.
func refusal(p string, mode filemode.FileMode, otherwise string) error {
	switch mode {
	case filemode.Symlink:
		otherwise = "is a symbolic link"
	case filemode.Submodule:
		otherwise = "is a submodule"
	}
	return fmt.Errorf("%w: %q %s", ErrRefused, p, otherwise)
}

// validName refuses names that fs.FS or another system could take for
// something else than one path element.
func validName(name string) bool {
	return name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00") && fs.ValidPath(name)
}

// blobSize reads the header alone where it can. go-git does not look for sizes
// in alternates, only for whole objects.
func blobSize(objects storer.EncodedObjectStorer, hash plumbing.Hash) (int64, error) {
	size, err := objects.EncodedObjectSize(hash)
	if !errors.Is(err, plumbing.ErrObjectNotFound) {
		return size, err
	}
	obj, err := objects.EncodedObject(plumbing.BlobObject, hash)
	if err != nil {
		return 0, err
	}
	return obj.Size(), nil
}

// readBlob reads a blob that is size bytes long by its header, and does not
// believe the object store: the content must have the hash that names it.
func readBlob(objects storer.EncodedObjectStorer, hash plumbing.Hash, size int64) ([]byte, error) {
	obj, err := objects.EncodedObject(plumbing.BlobObject, hash)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", hash, err)
	}
	r, err := obj.Reader()
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", hash, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", hash, err)
	}
	if got := plumbing.ComputeHash(plumbing.BlobObject, data); got != hash {
		return nil, fmt.Errorf("blob %s: content hashes to %s", hash, got)
	}
	return data, nil
}
