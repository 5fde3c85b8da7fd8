package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// maxHistory bounds how many commits are walked.
const maxHistory = 100_000

// Entry is one commit of a history.
type Entry struct {
	Hash    string
	Parents []string
	Tree    string // object of the directory that was asked about; "" where the commit has none
	Author  string
	When    time.Time
	Subject string
}

// ErrRemote says that histories are read from repositories of this machine only.
var ErrRemote = errors.New("the history of a remote repository is not read: clone it")

// History gives the ancestors of newer, itself included, that are not those of
// older, children before their parents; "" for older gives all. dir is as for
// Tree. ErrUnknowable says that the clone does not hold them all.
func (r *Repository) History(ctx context.Context, dir, older, newer string) ([]Entry, error) {
	l, ok := r.backend.(*localRepository)
	if !ok {
		return nil, ErrRemote
	}
	dir, err := cleanDir(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	repo, err := l.open()
	if err != nil {
		return nil, err
	}
	h := &history{ctx: ctx, repo: repo, dir: dir, seen: map[plumbing.Hash]bool{}}
	if older != "" {
		if err := h.walk(plumbing.NewHash(older), nil); err != nil {
			return nil, fmt.Errorf("history of %.12s: %w", older, err)
		}
	}
	if err := h.walk(plumbing.NewHash(newer), h.entry); err != nil {
		return nil, fmt.Errorf("history of %.12s: %w", newer, err)
	}
	slices.Reverse(h.out)
	return h.out, nil
}

// history is one walk.
type history struct {
	ctx  context.Context
	repo *git.Repository
	dir  string
	seen map[plumbing.Hash]bool
	out  []Entry // parents before their children
}

// walk visits what can be reached from a commit and was not seen, parents first.
func (h *history) walk(from plumbing.Hash, visit func(*object.Commit) error) error {
	type frame struct {
		commit *object.Commit
		next   int // of its parents
	}
	var stack []frame
	push := func(hash plumbing.Hash) error {
		if h.seen[hash] {
			return nil
		}
		if h.seen[hash] = true; len(h.seen) > maxHistory {
			return fmt.Errorf("%w: more than %d commits", ErrLimit, maxHistory)
		}
		c, err := h.repo.CommitObject(hash)
		if err != nil {
			return fmt.Errorf("%w: commit %s: %w", ErrUnknowable, hash, err)
		}
		stack = append(stack, frame{commit: c})
		return h.ctx.Err()
	}
	if err := push(from); err != nil {
		return err
	}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next < len(top.commit.ParentHashes) {
			top.next++
			if err := push(top.commit.ParentHashes[top.next-1]); err != nil {
				return err
			}
			continue
		}
		done := top.commit
		stack = stack[:len(stack)-1]
		if visit == nil {
			continue
		}
		if err := visit(done); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) entry(c *object.Commit) error {
	e := Entry{Hash: c.Hash.String(), Author: c.Author.Name, When: c.Committer.When}
	e.Subject, _, _ = strings.Cut(strings.TrimSpace(c.Message), "\n")
	for _, p := range c.ParentHashes {
		e.Parents = append(e.Parents, p.String())
	}
	root, err := object.GetTree(h.repo.Storer, c.TreeHash)
	if err != nil {
		return fmt.Errorf("tree of commit %s: %w", c.Hash, err)
	}
	switch tree, err := subtree(h.repo.Storer, root, h.dir); {
	case err == nil:
		e.Tree = tree.Hash.String()
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrRefused):
		return fmt.Errorf("commit %s: %w", c.Hash, err)
	}
	h.out = append(h.out, e)
	return nil
}
