package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/fielddiff"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/store"
)

// diffFlags of `meshc diff`.
type diffFlags struct {
	dir, state string
	exitCode   bool
	out        *outputFormat
}

func newDiffCmd() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff BASE [HEAD]",
		Short: "compare two trees of a mesh",
		Long: `diff compares the meshes of two trees, field by field, with the lines that say
so. A tree is a mesh directory, git:REV (the mesh directory as of that revision
of the repository it lies in, read from the object store), or live (what the
local state directory serves). HEAD is the mesh directory unless given.

Exit status: 0 the same, 1 they differ (0 with --exit-code=false), 2 could not
tell.`,
		Example: `  meshc diff git:HEAD
  meshc diff git:main git:my-branch
  meshc diff live`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return runDiff(cmd, &f, args) },
	}
	cmd.Flags().StringVar(&f.dir, "dir", ".", "the mesh directory")
	cmd.Flags().StringVar(&f.state, "state", "", "the state directory that live means (default .meshc at the top of the repository)")
	cmd.Flags().BoolVar(&f.exitCode, "exit-code", true, "exit with status 1 when they differ")
	f.out = addOutputFlag(cmd)
	return cmd
}

func runDiff(cmd *cobra.Command, f *diffFlags, args []string) error {
	head := f.dir
	if len(args) == 2 {
		head = args[1]
	}
	before, err := f.tree(cmd.Context(), cmd.ErrOrStderr(), args[0])
	if err != nil {
		return err
	}
	after, err := f.tree(cmd.Context(), cmd.ErrOrStderr(), head)
	if err != nil {
		return err
	}
	d := fielddiff.Compute(before, after)
	if f.out.value == "json" {
		err = writeJSON(cmd.OutOrStdout(), "DiffResult", d)
	} else {
		err = d.Text(cmd.OutOrStdout())
	}
	if err == nil && !d.Same() && f.exitCode {
		err = answerNo()
	}
	return err
}

// tree gives the model of what an argument names.
func (f *diffFlags) tree(ctx context.Context, errw io.Writer, name string) (*model.Mesh, error) {
	if rev, ok := strings.CutPrefix(name, "git:"); ok {
		return f.gitTree(ctx, errw, rev)
	}
	if name == "live" {
		return f.live()
	}
	return compileDir(ctx, errw, name)
}

// live reads what serves from the local store.
func (f *diffFlags) live() (*model.Mesh, error) {
	dir := f.state
	if dir == "" {
		root, _, err := findModule(f.dir)
		if err != nil {
			return nil, err
		}
		repoDir, _, err := repositoryOf(root)
		if err != nil {
			return nil, fmt.Errorf("live: %w; name the state directory with --state", err)
		}
		dir = filepath.Join(repoDir, stateDirName)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("live: no mesh serves from here: %w", err)
	}
	g, err := store.Read(dir)
	switch {
	case errors.Is(err, store.ErrNothing):
		return nil, fmt.Errorf("live: nothing serves yet from %s", dir)
	case err != nil:
		return nil, fmt.Errorf("live: %w", err)
	case g.Damage != nil:
		return nil, fmt.Errorf("live: %w", g.Damage)
	}
	return g.Mesh, nil
}

// gitTree compiles the mesh directory as of a revision of its repository.
func (f *diffFlags) gitTree(ctx context.Context, errw io.Writer, rev string) (*model.Mesh, error) {
	if rev == "" {
		return nil, errors.New("git: names no revision")
	}
	root, sub, err := findModule(f.dir)
	if err != nil {
		return nil, err
	}
	repoDir, inRepo, err := repositoryOf(root)
	if err != nil {
		return nil, err
	}
	commit, err := resolveRevision(repoDir, rev)
	if err != nil {
		return nil, err
	}
	repo, err := source.Open(repoDir, source.Options{})
	if err != nil {
		return nil, err
	}
	fsys, err := repo.Tree(ctx, commit, inRepo)
	if err != nil {
		return nil, fmt.Errorf("git:%s: %w", rev, err)
	}
	return compileTree(ctx, errw, fsys, sub, "git:"+rev)
}

// repositoryOf gives the root of the work tree that dir lies in, and dir
// relative to it, slash-separated.
func repositoryOf(dir string) (repoDir, inRepo string, err error) {
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", "", err
	}
	for repoDir = dir; ; repoDir = filepath.Dir(repoDir) {
		if _, err := os.Stat(filepath.Join(repoDir, git.GitDirName)); err == nil {
			inRepo, err = filepath.Rel(repoDir, dir)
			return repoDir, path.Clean(filepath.ToSlash(inRepo)), err
		}
		if repoDir == filepath.Dir(repoDir) {
			return "", "", fmt.Errorf("%s lies in no Git repository", dir)
		}
	}
}

// resolveRevision finds the commit of a revision as git(1) writes it: a
// branch, a tag, a hash, HEAD~1.
func resolveRevision(repoDir, rev string) (source.Commit, error) {
	repo, err := git.PlainOpenWithOptions(repoDir, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if err != nil {
		return source.Commit{}, fmt.Errorf("open repository %s: %w", repoDir, err)
	}
	hash, err := repo.ResolveRevision(plumbing.Revision(rev))
	if errors.Is(err, io.EOF) { // the end of the history, as go-git says it
		return source.Commit{}, fmt.Errorf("git:%s: the history does not go back that far", rev)
	}
	if err != nil {
		return source.Commit{}, fmt.Errorf("git:%s: %w", rev, err)
	}
	return source.Commit{Ref: rev, Hash: hash.String()}, nil
}
