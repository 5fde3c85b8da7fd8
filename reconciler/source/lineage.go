package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/meshc/meshc/reconciler/source/signature"
)

// lineage is the history of a reference as far as it is at hand.
type lineage struct {
	ctx     context.Context // of the one question that is asked
	objects storer.EncodedObjectStorer
	top     plumbing.Hash // what the reference names: a commit, or an annotated tag
	shallow bool          // commits may be missing
	limits  Limits
}

// errDeeper says that a question needs more history than is at hand.
var errDeeper = fmt.Errorf("%w: the clone is shallow", ErrUnknowable)

// raw gives the content of an object, which has the hash that names it: what is
// verified must be what is read later.
func (l *lineage) raw(t plumbing.ObjectType, hash string) ([]byte, error) {
	if err := l.ctx.Err(); err != nil {
		return nil, err
	}
	h := plumbing.NewHash(hash)
	obj, err := l.objects.EncodedObject(t, h)
	if err != nil {
		return nil, err
	}
	if obj.Size() > l.limits.FileBytes {
		return nil, fmt.Errorf("%w: the %s %s has %d bytes, at most %d are read", ErrLimit, t, hash, obj.Size(), l.limits.FileBytes)
	}
	r, err := obj.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, l.limits.FileBytes+1))
	if err != nil {
		return nil, err
	}
	if got := plumbing.ComputeHash(t, data); got != h {
		return nil, fmt.Errorf("the %s %s: content hashes to %s", t, hash, got)
	}
	return data, nil
}

// commit reads one commit; errDeeper where it is not at hand.
func (l *lineage) commit(hash string) (*signature.Object, error) {
	raw, err := l.raw(plumbing.CommitObject, hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, errDeeper
	}
	if err != nil {
		return nil, err
	}
	o, err := signature.ParseCommit(raw)
	if err != nil {
		return nil, fmt.Errorf("%.12s: %w", hash, err)
	}
	return o, nil
}

// link is one commit of a line.
type link struct {
	hash   string
	object *signature.Object
}

// line gives the commits from tip back along first parents, newest first, up to
// one of bases, which is not part of it, or to one that a base descends from:
// what "git rev-list --first-parent tip --not bases" gives. reached says that it
// ended at such a commit and not at the first one of the repository.
func (l *lineage) line(tip string, bases []string) (out []link, reached bool, err error) {
	stop := map[string]bool{}
	for _, b := range bases {
		stop[b] = true
	}
	for at := tip; !stop[at]; {
		if len(out) >= l.limits.Commits {
			return nil, false, fmt.Errorf("%w: more than %d commits", ErrLimit, l.limits.Commits)
		}
		c, err := l.commit(at)
		if err != nil {
			return l.cut(out, bases, err)
		}
		out = append(out, link{at, c})
		if len(c.Parents) == 0 {
			return l.cut(out, bases, nil)
		}
		at = c.Parents[0]
	}
	return out, true, nil
}

// cut ends a line that met no base at the first commit that a base descends from.
// missing is why the line could not be followed further; nil at its root.
func (l *lineage) cut(out []link, bases []string, missing error) ([]link, bool, error) {
	if missing != nil && !errors.Is(missing, ErrUnknowable) {
		return nil, false, missing
	}
	before := map[string]bool{}
	for _, b := range bases {
		if err := l.ancestors(b, before); err != nil {
			return nil, false, err
		}
	}
	for i, c := range out {
		if before[c.hash] {
			return out[:i], true, nil
		}
	}
	if missing == nil && l.shallow {
		missing = errDeeper // a base may stand behind what is at hand, on another line
	}
	return out, false, missing
}

// ancestors adds a commit and those before it, as far as they are at hand.
func (l *lineage) ancestors(of string, seen map[string]bool) error {
	for todo := []string{of}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[at] {
			continue
		}
		if seen[at] = true; len(seen) > maxHistory {
			return fmt.Errorf("%w: more than %d commits", ErrLimit, maxHistory)
		}
		c, err := l.commit(at)
		switch {
		case errors.Is(err, ErrUnknowable):
		case err != nil:
			return err
		default:
			todo = append(todo, c.Parents...)
		}
	}
	return nil
}

// descends says whether older is tip or before it.
func (l *lineage) descends(older, tip string) (bool, error) {
	seen, missing := map[string]bool{}, false
	for todo := []string{tip}; len(todo) > 0; {
		at := todo[0]
		todo = todo[1:]
		if at == older {
			return true, nil
		}
		if seen[at] {
			continue
		}
		if seen[at] = true; len(seen) > maxHistory {
			return false, fmt.Errorf("%w: more than %d commits", ErrLimit, maxHistory)
		}
		c, err := l.commit(at)
		switch {
		case errors.Is(err, ErrUnknowable):
			missing = true
		case err != nil:
			return false, err
		default:
			todo = append(todo, c.Parents...)
		}
	}
	if missing {
		return false, errDeeper
	}
	return false, nil
}

// depths are asked of a server one after the other: most commits follow right on
// the one before.
var depths = []int{1, 16, 256}

// look says what a question about history may cost.
type look struct {
	// some: what is not found among the newest commits is not looked for any further.
	some bool
	// tree: the tree of the commit will be read next if the answer is good, and may
	// come with it.
	tree bool
}

// someDepth is how many commits behind one another are looked at where the answer
// changes nothing but a notice.
const someDepth = 256

func (k look) depths(limits Limits) []int {
	if k.some {
		return []int{1, someDepth}
	}
	return append(depths[:len(depths):len(depths)], limits.Commits+1)
}

// lineage fetches ever more of the history of a reference until ask has its
// answer: it gives an error that wraps ErrUnknowable while it has not.
func (r *remoteRepository) lineage(ctx context.Context, c Commit, k look, ask func(*lineage) error) error {
	var deepest int
	var unknown error
	for _, depth := range k.depths(r.limits) {
		deepest = depth
		l, err := r.lineageOf(ctx, c, depth, k.tree && depth == 1)
		if err != nil {
			return err
		}
		if err = ask(l); err != nil && !errors.Is(err, ErrUnknowable) {
			r.keep(Commit{}, nil)
		}
		if !errors.Is(err, ErrUnknowable) {
			return err
		}
		if unknown = err; !l.shallow {
			break
		}
	}
	return fmt.Errorf("%w (of %d commits behind one another)", unknown, deepest)
}

// keep has the next tree read from what was fetched, if it is that of c.
func (r *remoteRepository) keep(c Commit, got *fetched) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keptOf, r.kept = c, got
}

// take gives what was kept of c, once; nil for nothing.
func (r *remoteRepository) take(c Commit) *fetched {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.kept
	if r.keptOf != c {
		got = nil
	}
	r.keptOf, r.kept = Commit{}, nil
	return got
}

func (r *remoteRepository) lineageOf(ctx context.Context, c Commit, depth int, tree bool) (l *lineage, err error) {
	s, refs, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	want, err := still(refs, c)
	if err != nil {
		return nil, err
	}
	got, err := r.fetch(ctx, s, refs, fetchRequest{want: want, depth: depth, commitsOnly: !tree})
	if err != nil {
		return nil, fmt.Errorf("fetch history: %w", err)
	}
	if tree {
		r.keep(c, got)
	}
	return &lineage{ctx: ctx, objects: got.objects, top: want, shallow: got.shallow, limits: r.limits}, nil
}

// descends takes newer for a reference of its own: servers hand out the history
// of what a branch or a tag points at.
func (r *remoteRepository) descends(ctx context.Context, older, newer string) (yes bool, err error) {
	err = r.lineage(ctx, Commit{Ref: newer, Hash: newer}, look{}, func(l *lineage) (err error) {
		yes, err = l.descends(older, newer)
		return err
	})
	return yes, err
}

func (l *localRepository) lineage(ctx context.Context, c Commit, _ look, ask func(*lineage) error) error {
	repo, err := l.open()
	if err != nil {
		return err
	}
	top, err := resolveLocal(repo, c.Ref)
	if err != nil {
		return err
	}
	commit, err := peel(repo.Storer.EncodedObject, top)
	if err != nil {
		return err
	}
	if commit.String() != c.Hash {
		return fmt.Errorf("%w: %s is now at %.12s", ErrMoved, c.Ref, commit)
	}
	return ask(&lineage{ctx: ctx, objects: repo.Storer, top: top, limits: l.limits})
}
