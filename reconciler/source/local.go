package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// localRepository reads a repository of this machine in place. It is opened
// anew each time: git may repack or rewrite references at any moment, and
// go-git caches the list of packs.
type localRepository struct {
	path   string
	limits Limits
}

func (l *localRepository) open() (*git.Repository, error) {
	repo, err := git.PlainOpenWithOptions(l.path, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	opened, ok := repo.Storer.(*filesystem.Storage)
	if !ok {
		return repo, nil
	}
	// A clone made with --shared or --reference keeps objects elsewhere.
	storage := filesystem.NewStorageWithOptions(opened.Filesystem(), cache.NewObjectLRU(16*cache.MiByte),
		filesystem.Options{AlternatesFS: osfs.New("/")})
	if repo, err = git.Open(storage, nil); err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return repo, nil
}

func (l *localRepository) head(ctx context.Context, ref string) (Commit, error) {
	if err := ctx.Err(); err != nil {
		return Commit{}, err
	}
	repo, err := l.open()
	if err != nil {
		return Commit{}, err
	}
	full, err := qualifyLocal(repo, ref)
	if err != nil {
		return Commit{}, emptyOr(repo, err)
	}
	hash, err := resolveLocal(repo, full)
	if err != nil {
		return Commit{}, emptyOr(repo, err)
	}
	c, err := peel(repo.Storer.EncodedObject, hash)
	if err != nil {
		return Commit{}, err
	}
	return Commit{Ref: full, Hash: c.String()}, nil
}

func qualifyLocal(repo *git.Repository, ref string) (string, error) {
	if strings.HasPrefix(ref, semverPrefix) {
		all, err := repo.Tags()
		if err != nil {
			return "", err
		}
		var names []string
		err = all.ForEach(func(r *plumbing.Reference) error {
			names = append(names, r.Name().String())
			return nil
		})
		if err != nil {
			return "", err
		}
		return newestTag(ref, names)
	}
	return qualify(ref, func(name string) (bool, error) {
		_, err := repo.Storer.Reference(plumbing.ReferenceName(name))
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			return false, nil
		}
		return err == nil, err
	})
}

func resolveLocal(repo *git.Repository, full string) (plumbing.Hash, error) {
	if plumbing.IsHash(full) {
		return plumbing.NewHash(full), nil
	}
	ref, err := repo.Reference(plumbing.ReferenceName(full), true)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return plumbing.ZeroHash, ErrRefNotFound
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return ref.Hash(), nil
}

// emptyOr says ErrEmptyRepository in place of "not found" when there is no
// reference at all: the two need different actions of the user.
func emptyOr(repo *git.Repository, err error) error {
	if !errors.Is(err, ErrRefNotFound) {
		return err
	}
	refs, rerr := repo.References()
	if rerr != nil {
		return err
	}
	defer refs.Close()
	for {
		ref, rerr := refs.Next()
		if rerr != nil {
			return ErrEmptyRepository
		}
		if ref.Type() == plumbing.HashReference {
			return err
		}
	}
}

func (l *localRepository) tree(ctx context.Context, c Commit, dir string) (fs.FS, error) {
	repo, err := l.open()
	if err != nil {
		return nil, err
	}
	return newTree(ctx, repo.Storer, c.Hash, dir, l.limits)
}

func (l *localRepository) descends(ctx context.Context, older, newer string) (bool, error) {
	repo, err := l.open()
	if err != nil {
		return false, err
	}
	newest, err := repo.CommitObject(plumbing.NewHash(newer))
	if err != nil {
		return false, fmt.Errorf("%w: commit %s: %w", ErrUnknowable, newer, err)
	}
	found := false
	err = object.NewCommitPreorderIter(newest, nil, nil).ForEach(func(c *object.Commit) error {
		if c.Hash.String() == older {
			found = true
			return errStop
		}
		return ctx.Err()
	})
	switch {
	case found:
		return true, nil
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return false, fmt.Errorf("%w: the clone is shallow", ErrUnknowable)
	}
	return false, err
}

// errStop ends a walk early.
var errStop = errors.New("stop")
