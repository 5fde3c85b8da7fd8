package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/meshc/meshc/reconciler/source"
)

// Committed reads local.yaml as of a commit: what is run belongs to what is
// served, and an edit takes effect when it is committed. Dir is the mesh's
// directory in the repository, slash-separated. Errors name the commit and the
// file and, where YAML gives one, the line.
func Committed(ctx context.Context, repo *source.Repository, dir, commit string) (*Config, error) {
	file := path.Join(dir, FileName)
	raw, err := repo.File(ctx, source.Commit{Hash: commit}, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("commit %.12s has no %s, which says what to run on this machine: write it and commit it", commit, file)
	}
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("%s of commit %.12s: %w", file, commit, err)
	}
	return c, nil
}
