package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
	"github.com/meshc/meshc/reconciler/bisect"
	"github.com/meshc/meshc/reconciler/source"
)

// bisectFlags of `meshc bisect`.
type bisectFlags struct {
	from, expect, good, bad, dir string
	request                      oneRequest
	out                          *outputFormat
}

func newBisectCmd() *cobra.Command {
	var f bisectFlags
	cmd := &cobra.Command{
		Use:   "bisect --from SVC --request 'GET URL' --expect ANSWER [--good REV] [--bad REV]",
		Short: "find the commit and the lines that changed an answer",
		Long: `bisect asks what meshc route answers for one request, commit by commit, and
finds the one at which the answer stopped to be the expected one: its parents
are asked too. Then it finds as few lines of that commit as change the answer by
themselves. Commits are read from the object store; nothing is checked out.
Commits whose mesh does not compile are skipped, and named.

ANSWER is terms that must all hold, separated by commas: an outcome as meshc
route says it (allowed, denied, no-route, ...), a version that gets everything
(v2), versions with percentages (v1=90,v2=10), route=NAME, timeout=3s.

REV of --bad is HEAD unless given. Without --good, a commit with the expected
answer is looked for by ever larger steps back along first parents.

Exit status: 0 found, 1 the answer is the expected one at --bad, 2 could not
tell: no commit has the expected answer, or those between do not compile.`,
		Example: `  meshc bisect --from productpage --request 'GET http://reviews:9080/reviews/1' --expect v1
  meshc bisect --from checkout --request 'POST http://payments/charge' --expect allowed --good v1.4.0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	cmd.Flags().StringVar(&f.from, "from", "", "the caller: \"name\" or \"namespace/name\"")
	f.request.addFlags(cmd, "the request: \"METHOD URL\"")
	cmd.Flags().StringVar(&f.expect, "expect", "", "the expected answer")
	cmd.Flags().StringVar(&f.good, "good", "", "a revision with the expected answer")
	cmd.Flags().StringVar(&f.bad, "bad", "HEAD", "a revision with another one")
	cmd.Flags().StringVar(&f.dir, "dir", ".", "the mesh directory")
	f.out = addOutputFlag(cmd)
	for _, name := range []string{"from", "request", "expect"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

// bisecting is one search.
type bisecting struct {
	repo     *source.Repository
	dir, sub string // of the module in the repository, and of the mesh in the module
	expect   *answer.Expectation
	from     model.Ref
	request  answer.Request
	explicit bool // the request says its port
	now      time.Time
	session  compiler.Session
	answers  map[string]*answer.Answer // by tree
}

func (f *bisectFlags) run(cmd *cobra.Command) error {
	b, err := f.prepare()
	if err != nil {
		return err
	}
	history, good, err := f.history(cmd.Context(), b)
	if err != nil {
		return err
	}
	found, err := bisect.Find(cmd.Context(), history, good, b.judge)
	if errors.Is(err, bisect.ErrBadIsGood) {
		fmt.Fprintf(cmd.OutOrStdout(), "the answer is the expected one at %s: %s\n", f.bad, b.answers[history[0].Tree].Summary())
		return answerNo()
	}
	if err != nil {
		return fmt.Errorf("bisect: %w", err)
	}
	report, err := b.report(cmd.Context(), found)
	if err != nil {
		return err
	}
	if f.out.value == "json" {
		err = writeJSON(cmd.OutOrStdout(), "BisectResult", report)
	} else {
		err = report.text(cmd.OutOrStdout())
	}
	if err == nil && len(report.Candidates) > 0 {
		return &exitError{code: statusUnknown}
	}
	return err
}

// prepare reads the flags and opens the repository.
func (f *bisectFlags) prepare() (*bisecting, error) {
	expect, err := answer.ParseExpectation(f.expect)
	if err != nil {
		return nil, fmt.Errorf("--expect: %w", err)
	}
	req, explicit, err := f.request.read("")
	if err != nil {
		return nil, err
	}
	root, sub, err := findModule(f.dir)
	if err != nil {
		return nil, err
	}
	repoDir, inRepo, err := repositoryOf(root)
	if err != nil {
		return nil, err
	}
	repo, err := source.Open(repoDir, source.Options{})
	return &bisecting{
		repo: repo, dir: inRepo, sub: sub, expect: expect, from: literal.Ref(f.from, scope.DefaultNamespace),
		request: *req, explicit: explicit, now: time.Now(), answers: map[string]*answer.Answer{},
	}, err
}

// history gives the commits to look at, and the hash of the good one.
func (f *bisectFlags) history(ctx context.Context, b *bisecting) (list []source.Entry, good string, err error) {
	bad, err := resolveRevision(b.repo.String(), f.bad)
	if err != nil {
		return nil, "", err
	}
	if f.good == "" {
		list, err = b.repo.History(ctx, b.dir, "", bad.Hash)
		return list, "", err
	}
	from, err := resolveRevision(b.repo.String(), f.good)
	if err != nil {
		return nil, "", err
	}
	within, err := b.repo.Descends(ctx, from.Hash, bad.Hash)
	switch {
	case err != nil:
		return nil, "", err
	case !within:
		return nil, "", fmt.Errorf("--good %s is no ancestor of --bad %s", f.good, f.bad)
	}
	if list, err = b.repo.History(ctx, b.dir, from.Hash, bad.Hash); err != nil {
		return nil, "", err
	}
	older, err := b.repo.History(ctx, b.dir, "", from.Hash)
	if err != nil {
		return nil, "", err
	}
	return append(list, older[0]), from.Hash, nil
}

// judge answers for the tree of a commit.
func (b *bisecting) judge(ctx context.Context, e *source.Entry) (bisect.Verdict, error) {
	if e.Tree == "" {
		return bisect.Skipped, nil
	}
	fsys, err := b.tree(ctx, e.Hash)
	if err != nil {
		return "", err
	}
	got, v, err := b.ask(ctx, fsys)
	b.answers[e.Tree] = got
	return v, err
}

func (b *bisecting) tree(ctx context.Context, hash string) (fs.FS, error) {
	return b.repo.Tree(ctx, source.Commit{Hash: hash}, b.dir)
}

// ask compiles a tree and asks; where that gives no answer the tree is skipped.
func (b *bisecting) ask(ctx context.Context, fsys fs.FS) (*answer.Answer, bisect.Verdict, error) {
	res, err := b.session.Compile(ctx, fsys, compiler.Options{Now: b.now, Load: load.Options{Dir: b.sub}})
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	if err != nil || res.Model == nil {
		return nil, bisect.Skipped, nil
	}
	req := b.request
	if !b.explicit {
		req.Port = answer.DefaultPort(res.Model, b.from, &req)
	}
	got, ok := answer.Ask(res.Model, b.from, &req, b.now)
	switch {
	case !ok:
		return nil, bisect.Skipped, nil
	case b.expect.Holds(got):
		return got, bisect.Good, nil
	}
	return got, bisect.Bad, nil
}

// bisectReport is what was found.
type bisectReport struct {
	Commit     commitDoc     `json:"commit"`
	Candidates []commitDoc   `json:"candidates,omitempty"` // that cannot be told apart
	Expected   string        `json:"expected"`
	Before     string        `json:"before,omitempty"` // at a parent
	After      string        `json:"after"`
	Lines      []bisect.Hunk `json:"lines"`
	LinesSure  bool          `json:"linesSure"` // false: there may be fewer
	Skipped    []commitDoc   `json:"skipped,omitempty"`
	Tested     int           `json:"treesTested"`

	dir string
}

type commitDoc struct {
	Hash    string    `json:"hash"`
	Author  string    `json:"author"`
	When    time.Time `json:"when"`
	Subject string    `json:"subject"`
}

func docOf(e *source.Entry) commitDoc { return commitDoc{e.Hash, e.Author, e.When, e.Subject} }

func docsOf(list []*source.Entry) []commitDoc {
	var out []commitDoc
	for _, e := range list {
		out = append(out, docOf(e))
	}
	return out
}

// report finds the lines of the commit that change the answer.
func (b *bisecting) report(ctx context.Context, found *bisect.Result) (*bisectReport, error) {
	first := found.First
	out := &bisectReport{
		Commit: docOf(first), Candidates: docsOf(found.Candidates), Expected: b.expect.String(), After: b.answers[first.Tree].Summary(),
		Skipped: docsOf(found.Skipped), Tested: found.Tested, Lines: []bisect.Hunk{}, dir: path.Join(b.dir, ""),
	}
	if len(first.Parents) == 0 || len(out.Candidates) > 0 {
		return out, nil
	}
	before, err := b.tree(ctx, first.Parents[0])
	if err != nil {
		return nil, err
	}
	after, err := b.tree(ctx, first.Hash)
	if err != nil {
		return nil, err
	}
	if was, _, err := b.ask(ctx, before); err == nil && was != nil {
		out.Before = was.Summary()
	}
	out.Lines, out.LinesSure, err = bisect.Lines(ctx, before, after, func(ctx context.Context, fsys fs.FS) (bisect.Verdict, error) {
		_, v, err := b.ask(ctx, fsys)
		return v, err
	})
	return out, err
}

func (r *bisectReport) text(w io.Writer) error {
	var b strings.Builder
	line := func(c commitDoc) string {
		return fmt.Sprintf("%.12s  %s  %s  %s", c.Hash, c.When.UTC().Format(time.DateOnly), c.Author, c.Subject)
	}
	if len(r.Candidates) > 0 {
		fmt.Fprintf(&b, "NOT KNOWN which of these changed the answer, because some do not compile or have no such caller:\n")
		for _, c := range r.Candidates {
			fmt.Fprintf(&b, "  %s\n", line(c))
		}
	} else {
		fmt.Fprintf(&b, "%s\n", line(r.Commit))
	}
	fmt.Fprintf(&b, "  expected  %s\n", r.Expected)
	if r.Before != "" {
		fmt.Fprintf(&b, "  before    %s\n", r.Before)
	}
	fmt.Fprintf(&b, "  since     %s\n", r.After)
	if len(r.Lines) > 0 {
		sure := map[bool]string{true: "these lines change it by themselves", false: "lines among these change it"}[r.LinesSure]
		fmt.Fprintf(&b, "\n%s:\n", sure)
	}
	for _, h := range r.Lines {
		fmt.Fprintf(&b, "%s:%d\n", path.Join(r.dir, h.File), h.Line)
		for _, l := range h.Removed {
			fmt.Fprintf(&b, "- %s\n", strings.TrimRight(l, "\n"))
		}
		for _, l := range h.Added {
			fmt.Fprintf(&b, "+ %s\n", strings.TrimRight(l, "\n"))
		}
	}
	for _, c := range r.Skipped {
		fmt.Fprintf(&b, "\nskipped: %s\n", line(c))
	}
	fmt.Fprintf(&b, "\n%s judged\n", plural(r.Tested, "tree"))
	_, err := io.WriteString(w, b.String())
	return err
}
