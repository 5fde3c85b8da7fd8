package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/behave/show"
	"github.com/meshc/meshc/compiler/cache"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/fielddiff"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/policies"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/store"
)

// diffFlags of `meshc diff`.
type diffFlags struct {
	dir, state       string
	in               clusterFlags
	exitCode, fields bool
	maxBytes         int
	cache            *cacheFlag
	kept             *cache.Dir // nil for none
	out              *outputFormat
	also             *alsoFiles
	session          compiler.Session // of both sides
}

func newDiffCmd() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff BASE [HEAD]",
		Short: "say what a change of the mesh does to requests",
		Long: `diff compares what two trees of a mesh do to every request: which requests go
elsewhere, are let in or refused, meet other timeouts, retries or faults, each
with a request that shows it, the lines on both sides and the callers that are
affected. What it does not list is proved to stay as it is; where it could not
tell, it says so. What is written otherwise and behaves the same is one line.

A tree is a mesh directory, git:REV (the mesh directory as of that revision of
the repository it lies in, read from the object store), or live (what the local
state directory serves, or a Mesh in a cluster with --mesh). HEAD is the mesh directory unless given.

Classes of changes: BLACKHOLE EXPOSE WEAKEN FAULT NARROW REROUTE RESTART SHIFT
HARDEN TUNE, and NOOP; ` + "`meshc explain MSH2150`" + ` to MSH2159 say what each means.

The policies of the mesh that are about changes, and the rules of policies/*.cue that
are over the change, are held against it: those of both trees, so that a change cannot
do what it takes a policy away for. What they forbid is told beside. live has no
policies, and --fields passes them over.

Exit status: 0 the same, 1 they differ (0 with --exit-code=false, unless a policy of
severity error is violated), 2 could not tell.`,
		Example: `  meshc diff git:HEAD
  meshc diff git:main git:my-branch
  meshc diff -o markdown git:main
  meshc diff -o github --also json=diff.json --also sarif=diff.sarif git:main
  meshc diff --fields live`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return runDiff(cmd, &f, args) },
	}
	cmd.Flags().StringVar(&f.dir, "dir", ".", "the mesh directory")
	cmd.Flags().StringVar(&f.state, "state", "", "the state directory that live means (default .meshc at the top of the repository)")
	f.in.register(cmd.Flags())
	cmd.Flags().BoolVar(&f.exitCode, "exit-code", true, "exit with status 1 when they differ")
	cmd.Flags().BoolVar(&f.fields, "fields", false, "compare field by field, not what requests meet")
	cmd.Flags().IntVar(&f.maxBytes, "max-bytes", show.MarkdownBudget, "with -o markdown: write no more than this, at least 4000")
	f.cache = addCacheFlag(cmd)
	f.out = addOutputFlag(cmd, "markdown", "github", "sarif")
	f.also = addAlsoFlag(cmd, f.out)
	return cmd
}

// leastMarkdown is what the table's head and the closing line need, and more.
const leastMarkdown = 4000

func runDiff(cmd *cobra.Command, f *diffFlags, args []string) error {
	head := f.dir
	if len(args) == 2 {
		head = args[1]
	}
	if err := f.in.check(f.state); err != nil {
		return err
	}
	if f.in.mesh != "" && args[0] != "live" && head != "live" {
		return errors.New("--mesh says what live is, which is not compared")
	}
	if f.maxBytes < leastMarkdown {
		return fmt.Errorf("--max-bytes %d: want at least %d", f.maxBytes, leastMarkdown)
	}
	compiler.SaveMemory()
	var err error
	if f.kept, err = f.cache.open(); err != nil {
		return err
	}
	// HEAD comes first: it leaves in the cache what is the same in BASE.
	after, err := f.side(cmd.Context(), cmd.ErrOrStderr(), head, false)
	if err != nil {
		return err
	}
	before, err := f.side(cmd.Context(), cmd.ErrOrStderr(), args[0], true)
	if err != nil {
		return err
	}
	if f.fields {
		return f.compareFields(cmd.OutOrStdout(), before.Model, after.Model)
	}
	r := behave.Meshes(before.Model, after.Model)
	c := policies.Compare(before, after, r, time.Now())
	violations, err := c.Policies()
	if err != nil {
		return fmt.Errorf("hold the change against the policies: %w", err)
	}
	found, err := c.Rules(cmd.Context(), load.RuleEvaluator{})
	if err != nil {
		return fmt.Errorf("hold the change against the rules: %w", err)
	}
	violations = diag.Join(violations, found)
	print := func(w io.Writer, format string) error { return f.print(w, format, r, violations) }
	if err := f.also.write(print); err != nil {
		return err
	}
	if err := print(cmd.OutOrStdout(), f.out.value); err != nil {
		return fmt.Errorf("print the difference: %w", err)
	}
	switch {
	case r.Unknown():
		return &exitError{code: statusUnknown}
	case !r.Equal() && f.exitCode, violations.HasErrors():
		return answerNo()
	}
	return nil
}

// print writes what requests meet in a format. Places are
// named as in the mesh directory, so that lines of HEAD can be found.
func (f *diffFlags) print(w io.Writer, format string, r *behave.Report, violations diag.List) error {
	p := diag.Printer{}
	if root, _, err := findModule(f.dir); err == nil {
		p = diagPrinter(root)
	}
	asIs := func(file string) string { return file }
	switch format {
	case "json":
		return writeJSON(w, "DiffResult", diffResult{show.JSON(r), violations.Reasoned()})
	case "markdown":
		used, err := show.Violations(w, violations, f.maxBytes/4)
		if err != nil {
			return err
		}
		return show.Markdown(w, r, asIs, f.maxBytes-used)
	case "github":
		return p.GitHub(w, append(violations, show.Diagnostics(r)...))
	case "sarif":
		return p.SARIF(w, diag.Report{Diagnostics: append(violations, show.Diagnostics(r)...)})
	}
	if err := show.Text(w, r, asIs); err != nil || len(violations) == 0 {
		return err
	}
	if _, err := fmt.Fprintf(w, "\n%s:\n\n", show.ViolationsTitle(violations)); err != nil {
		return err
	}
	return p.Text(w, violations)
}

// diffResult is the JSON of diff.
type diffResult struct {
	*show.Document
	Violations diag.List `json:"violations,omitempty"` // of policies, and what is said of their exemptions
}

// compareFields is the comparison of what is written, as resolved.
func (f *diffFlags) compareFields(w io.Writer, before, after *model.Mesh) error {
	d := fielddiff.Compute(before, after)
	print := func(w io.Writer, format string) error {
		switch format {
		case "json":
			return writeJSON(w, "FieldDiffResult", d)
		case "text":
			return d.Text(w)
		}
		return fmt.Errorf("--fields is for -o text and json, not %s", format)
	}
	err := f.also.write(print)
	if err == nil {
		err = print(w, f.out.value)
	}
	if err == nil && !d.Same() && f.exitCode {
		err = answerNo()
	}
	return err
}

// tree gives the model of what an argument names.
func (f *diffFlags) tree(ctx context.Context, errw io.Writer, name string) (*model.Mesh, error) {
	t, err := f.side(ctx, errw, name, true)
	if err != nil {
		return nil, err
	}
	return t.Model, nil
}

// side gives what is compared of what an argument names; past says that it is BASE.
func (f *diffFlags) side(ctx context.Context, errw io.Writer, name string, past bool) (*policies.Tree, error) {
	if rev, ok := strings.CutPrefix(name, "git:"); ok {
		return f.gitTree(ctx, errw, rev, past)
	}
	if name == "live" {
		return f.live(ctx)
	}
	root, sub, err := findModule(name)
	if err != nil {
		return nil, err
	}
	return sideOf(f.compile(ctx, errw, os.DirFS(root), name, compiler.Options{Load: loadOptions(sub, f.kept), Past: past}))
}

// live reads what serves from the cluster, or the local store.
func (f *diffFlags) live(ctx context.Context) (*policies.Tree, error) {
	if f.in.mesh != "" {
		c, err := f.in.open()
		if err != nil {
			return nil, err
		}
		g, err := c.serving(ctx)
		if err != nil {
			return nil, fmt.Errorf("live: %w", err)
		}
		return &policies.Tree{Model: g.Mesh}, nil
	}
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
	return &policies.Tree{Model: g.Mesh}, nil
}

// gitTree compiles the mesh directory as of a revision of its repository.
func (f *diffFlags) gitTree(ctx context.Context, errw io.Writer, rev string, past bool) (*policies.Tree, error) {
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
	return sideOf(f.compile(ctx, errw, fsys, "git:"+rev, compiler.Options{Load: loadOptions(sub, f.kept), Past: past}))
}

// compile compiles one side. What both have in common is made once and is the same
// in memory, so that nothing of it has to be compared. With a cache, both sides go by
// what that knows.
func (f *diffFlags) compile(ctx context.Context, errw io.Writer, fsys fs.FS, name string, opts compiler.Options) (*compiler.Result, error) {
	if f.kept != nil {
		return compileResult(ctx, errw, fsys, name, opts)
	}
	res, err := f.session.Compile(ctx, fsys, opts)
	return soundResult(errw, fsys, name, res, err)
}

func sideOf(res *compiler.Result, err error) (*policies.Tree, error) {
	if err != nil {
		return nil, err
	}
	return &policies.Tree{Intent: res.Intent, Model: res.Model}, nil
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
