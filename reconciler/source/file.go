package source

import (
	"context"
	"fmt"
	"io/fs"
	"path"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// File reads one file of a commit, name slash-separated and relative to the
// root of the repository, without reading the tree around it. The error wraps
// fs.ErrNotExist where the commit has no such file, ErrRefused where it is not a
// regular one, and ErrLimit where it is larger than Limits.FileBytes. Only a
// repository of this machine can be asked.
func (r *Repository) File(ctx context.Context, c Commit, name string) ([]byte, error) {
	l, ok := r.backend.(*localRepository)
	if !ok {
		return nil, fmt.Errorf("read %s of %s: only a repository of this machine can be asked for one file", name, r.address)
	}
	data, err := l.file(ctx, c, name)
	if err != nil {
		return nil, fmt.Errorf("read %s of commit %.12s: %w", name, c.Hash, err)
	}
	return data, nil
}

func (l *localRepository) file(ctx context.Context, c Commit, name string) ([]byte, error) {
	name, err := cleanDir(name)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	repo, err := l.open()
	if err != nil {
		return nil, err
	}
	commit, err := object.GetCommit(repo.Storer, plumbing.NewHash(c.Hash))
	if err != nil {
		return nil, fmt.Errorf("commit object: %w", err)
	}
	tree, err := object.GetTree(repo.Storer, commit.TreeHash)
	if err != nil {
		return nil, fmt.Errorf("tree of the commit: %w", err)
	}
	if tree, err = subtree(repo.Storer, tree, path.Dir(name)); err != nil {
		return nil, err
	}
	entry, err := findEntry(tree, path.Base(name))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if entry.Mode != filemode.Regular && entry.Mode != filemode.Executable && entry.Mode != filemode.Deprecated {
		return nil, refusal(name, entry.Mode, "is not a regular file")
	}
	size, err := blobSize(repo.Storer, entry.Hash)
	if err != nil {
		return nil, err
	}
	if size > l.limits.FileBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrLimit, size, l.limits.FileBytes)
	}
	return readBlob(repo.Storer, entry.Hash, size)
}
