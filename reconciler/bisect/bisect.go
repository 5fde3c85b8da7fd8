// Package bisect finds the commit, and the lines of it, that changed an answer
// about a mesh. It judges commits by their trees and checks nothing out.
package bisect

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	"github.com/meshc/meshc/reconciler/source"
)

// Verdict of a commit.
type Verdict string

// Verdicts.
const (
	Good    Verdict = "good"    // the answer is as expected
	Bad     Verdict = "bad"     // it is another one
	Skipped Verdict = "skipped" // there is no answer: the mesh does not compile, or is not there
)

// Judge says what the tree of a commit is. Its error ends the search.
type Judge func(ctx context.Context, e *source.Entry) (Verdict, error)

// maxCommits bounds a search, whose memory grows with the square of them.
const maxCommits = 20_000

// Result of a search.
type Result struct {
	// First is the commit at which the answer changed: it is bad, and none of its
	// parents is. With Candidates it is one of several that cannot be told apart.
	First      *source.Entry
	Candidates []*source.Entry // First among them, where commits between were skipped; else none
	Skipped    []*source.Entry
	Tested     int // commits that were judged; equal trees count once
}

// Errors of Find.
var (
	// ErrBadIsGood says that the last commit has the expected answer.
	ErrBadIsGood = errors.New("the answer is the expected one already")
	// ErrNoGood says that no commit that was looked at has the expected answer.
	ErrNoGood = errors.New("no commit that was looked at has the expected answer")
	// ErrNoAnswer says that a commit which must be judged has no answer.
	ErrNoAnswer = errors.New("there is no answer to compare with")
)

// search is one run over a history.
type search struct {
	entries   []source.Entry // children before their parents
	number    map[string]int
	ancestors []set // of each, itself included
	judge     Judge
	known     map[string]Verdict // by tree
	result    *Result
	skipped   map[int]bool
}

// Find looks for the commit among the ancestors of the first entry of history
// (its whole history, as source.History gives it) at which the answer changed
// from good. Without good, "", it looks for a good one along first parents.
// What it finds is judged, and so are its parents.
func Find(ctx context.Context, history []source.Entry, good string, judge Judge) (*Result, error) {
	if len(history) == 0 || len(history) > maxCommits {
		return nil, fmt.Errorf("%d commits, want 1 to %d: name a good one nearer", len(history), maxCommits)
	}
	s := &search{entries: history, number: map[string]int{}, judge: judge, known: map[string]Verdict{}, result: &Result{}, skipped: map[int]bool{}}
	for i := range history {
		s.number[history[i].Hash] = i
	}
	s.link()
	switch v, err := s.verdict(ctx, 0); {
	case err != nil:
		return nil, err
	case v == Skipped:
		return nil, fmt.Errorf("commit %.12s: %w", history[0].Hash, ErrNoAnswer)
	case v == Good:
		return s.result, ErrBadIsGood
	}
	from, err := s.good(ctx, good)
	if err != nil {
		return s.result, err
	}
	return s.result, s.between(ctx, from, 0)
}

// link finds the ancestors of every commit.
func (s *search) link() {
	s.ancestors = make([]set, len(s.entries))
	for i := len(s.entries) - 1; i >= 0; i-- {
		s.ancestors[i] = newSet(len(s.entries))
		s.ancestors[i].add(i)
		for _, p := range s.entries[i].Parents {
			if j, ok := s.number[p]; ok {
				s.ancestors[i].join(s.ancestors[j])
			}
		}
	}
}

// verdict of a commit; commits with the same tree have the same.
func (s *search) verdict(ctx context.Context, i int) (Verdict, error) {
	e := &s.entries[i]
	v, ok := s.known[e.Tree]
	if !ok {
		var err error
		if v, err = s.judge(ctx, e); err != nil {
			return "", fmt.Errorf("commit %.12s: %w", e.Hash, err)
		}
		s.known[e.Tree] = v
		s.result.Tested++
	}
	if v == Skipped && !s.skipped[i] {
		s.skipped[i] = true
		s.result.Skipped = append(s.result.Skipped, e)
	}
	return v, nil
}

// good is the commit that the search begins at: the one that is named, else one
// found by ever larger steps along first parents.
func (s *search) good(ctx context.Context, hash string) (int, error) {
	if hash != "" {
		i, ok := s.number[hash]
		if !ok {
			return 0, fmt.Errorf("commit %.12s is no ancestor of %.12s", hash, s.entries[0].Hash)
		}
		switch v, err := s.verdict(ctx, i); {
		case err != nil:
			return 0, err
		case v == Good:
			return i, nil
		case v == Skipped:
			return 0, fmt.Errorf("commit %.12s: %w", hash, ErrNoAnswer)
		}
		return 0, fmt.Errorf("commit %.12s does not have the expected answer", hash)
	}
	at, step := 0, 1
	for {
		before := at
		for range step {
			if next, ok := s.firstParent(at); ok {
				at = next
			}
		}
		if at == before {
			return 0, ErrNoGood
		}
		if v, err := s.verdict(ctx, at); err != nil || v == Good {
			return at, err
		}
		step *= 2
	}
}

func (s *search) firstParent(i int) (int, bool) {
	if len(s.entries[i].Parents) == 0 {
		return 0, false
	}
	p, ok := s.number[s.entries[i].Parents[0]]
	return p, ok
}

// between narrows the commits that are ancestors of bad and not of good, until
// bad alone is left. Where the answer changed more than once a parent of it may
// be bad as well, and the search goes on from there.
func (s *search) between(ctx context.Context, good, bad int) error {
	left := s.ancestors[bad].without(s.ancestors[good])
	for {
		var err error
		if left, bad, err = s.narrow(ctx, left, bad); err != nil {
			return err
		}
		s.result.First = &s.entries[bad]
		if left.count() > 1 {
			s.ambiguous(left, bad)
			return nil
		}
		next, err := s.badParent(ctx, bad)
		if err != nil || next < 0 {
			return err
		}
		left, bad = s.ancestors[next].copy(), next
	}
}

// ambiguous names the commits that are left, all but the last of which were
// skipped.
func (s *search) ambiguous(left set, bad int) {
	s.result.Candidates = append(s.result.Candidates, &s.entries[bad])
	for i := range s.entries {
		if i != bad && left.has(i) {
			s.result.Candidates = append(s.result.Candidates, &s.entries[i])
		}
	}
}

// narrow judges the commit that halves what is left, again and again.
func (s *search) narrow(ctx context.Context, left set, bad int) (set, int, error) {
	for {
		i := s.middle(left, bad)
		if i < 0 {
			return left, bad, nil
		}
		v, err := s.verdict(ctx, i)
		switch {
		case err != nil:
			return nil, 0, err
		case v == Good:
			left = left.without(s.ancestors[i])
		case v == Bad:
			left, bad = left.both(s.ancestors[i]), i
		}
	}
}

// middle is the commit of which most are on both sides, -1 for none that can be
// judged. The commit of a set's own tip is bad already.
func (s *search) middle(left set, bad int) int {
	best, most := -1, 0
	whole := left.count()
	for i := range s.entries {
		if i == bad || !left.has(i) || s.skipped[i] {
			continue
		}
		behind := left.both(s.ancestors[i]).count()
		if part := min(behind, whole-behind); best < 0 || part > most {
			best, most = i, part
		}
	}
	return best
}

// badParent is a parent that is bad, -1 for none. A parent without an answer
// may be where the answer changed.
func (s *search) badParent(ctx context.Context, i int) (int, error) {
	for _, p := range s.entries[i].Parents {
		j, ok := s.number[p]
		if !ok {
			continue
		}
		switch v, err := s.verdict(ctx, j); {
		case err != nil:
			return 0, err
		case v == Bad:
			return j, nil
		case v == Skipped:
			s.result.Candidates = append(s.result.Candidates, &s.entries[j])
		}
	}
	if len(s.result.Candidates) > 0 {
		s.result.Candidates = append([]*source.Entry{&s.entries[i]}, s.result.Candidates...)
	}
	return -1, nil
}

// set of commits by their numbers.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (a set) add(i int)      { a[i/64] |= 1 << (i % 64) }
func (a set) has(i int) bool { return a[i/64]>>(i%64)&1 == 1 }
func (a set) copy() set      { return append(set(nil), a...) }
func (a set) join(b set) {
	for i := range a {
		a[i] |= b[i]
	}
}

func (a set) without(b set) set {
	out := a.copy()
	for i := range out {
		out[i] &^= b[i]
	}
	return out
}

func (a set) both(b set) set {
	out := a.copy()
	for i := range out {
		out[i] &= b[i]
	}
	return out
}

func (a set) count() int {
	n := 0
	for _, w := range a {
		n += bits.OnesCount64(w)
	}
	return n
}
