package status

import "fmt"

// Answer to "is this commit live?".
type Answer int

// Answers. Pending may still become one of the others.
const (
	Pending Answer = iota
	Live           // on every node, or a descendant is
	Never          // rejected, or superseded without having been served
	Untold         // it cannot be told from here
)

// Verdict is an Answer with its reason in words.
type Verdict struct {
	Answer Answer
	Reason string
}

// Ancestry says whether newer descends from older; an error means that it
// cannot be told.
type Ancestry func(older, newer string) (bool, error)

// Verdict judges commit, a full hash or the beginning of one. A commit that a
// newer one replaced is live when that one is on every node and descends from
// it; a commit that was skipped between two polls likewise.
func (s *Status) Verdict(commit string, descends Ancestry) Verdict {
	e, ambiguous := s.find(commit)
	if ambiguous {
		return Verdict{Untold, fmt.Sprintf("%s is the beginning of more than one commit", commit)}
	}
	if e == nil {
		return s.unseen(commit, descends)
	}
	switch e.Outcome {
	case OnEveryNode:
		return Verdict{Live, fmt.Sprintf("%.12s programmed %d/%d", e.Commit, e.Done, e.Total)}
	case Rejected:
		return Verdict{Never, fmt.Sprintf("%.12s was rejected: %s", e.Commit, e.Error)}
	case Applied:
		return Verdict{Pending, fmt.Sprintf("%.12s programmed %d/%d", e.Commit, e.Done, e.Total)}
	}
	return s.replaced(e.Commit, descends)
}

// unseen judges a commit that the reconciler has no entry for: it is yet to
// come, or was skipped between two polls.
func (s *Status) unseen(commit string, descends Ancestry) Verdict {
	if n := s.newest(notRejected); n != nil {
		if ok, err := descends(commit, n.Commit); err == nil && ok {
			return s.replaced(commit, descends)
		}
	}
	if n := s.newest(whatever); n != nil && n.Outcome == Rejected {
		if ok, err := descends(commit, n.Commit); err == nil && ok {
			return Verdict{Never, fmt.Sprintf("%.12s was superseded by %.12s, which was rejected: %s", commit, n.Commit, n.Error)}
		}
	}
	return Verdict{Pending, fmt.Sprintf("%.12s has not been seen yet", commit)}
}

// replaced judges a commit in whose place a newer one was taken: the newest
// one that was not rejected decides, because nothing older will be served
// again.
func (s *Status) replaced(commit string, descends Ancestry) Verdict {
	n := s.newest(notRejected)
	ok, err := descends(commit, n.Commit)
	switch {
	case err != nil:
		return Verdict{Untold, fmt.Sprintf("%.12s was superseded by %.12s, and it cannot be told whether that descends from it: %v", commit, n.Commit, err)}
	case !ok:
		return Verdict{Never, fmt.Sprintf("%.12s was superseded by %.12s, which does not descend from it", commit, n.Commit)}
	}
	answer := Pending
	if n.Outcome == OnEveryNode {
		answer = Live
	}
	return Verdict{answer, fmt.Sprintf("%.12s was superseded by its descendant %.12s, programmed %d/%d", commit, n.Commit, n.Done, n.Total)}
}

func whatever(Entry) bool      { return true }
func notRejected(e Entry) bool { return e.Outcome != Rejected }

// newest gives the newest entry that is wanted.
func (s *Status) newest(wanted func(Entry) bool) *Entry {
	for i := len(s.History) - 1; i >= 0; i-- {
		if wanted(s.History[i]) {
			return &s.History[i]
		}
	}
	return nil
}
