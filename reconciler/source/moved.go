package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// moved says how the reference of c was moved since it was applied; "" when it was
// not, or nothing of it was applied. The error wraps ErrHeld where that is not
// followed.
func (g *Gate) moved(ctx context.Context, applied []Commit, c Commit) (string, error) {
	if name, isTag := tagName(c.Ref); isTag {
		return g.retagged(name, applied, c)
	}
	// What was applied by another name in between, as by a rollback, takes nothing
	// away from what is known of this one.
	i := slices.IndexFunc(applied, func(a Commit) bool { return a.Ref == c.Ref })
	if i < 0 || applied[i].Hash == c.Hash || !strings.HasPrefix(c.Ref, "refs/") && c.Ref != "HEAD" {
		return "", nil
	}
	old := applied[i].Hash
	onTop, err := g.grewOnTop(ctx, old, c)
	switch {
	case err == nil && onTop:
		return "", nil
	case err != nil && g.policy.Rewrites == Follow && !errors.Is(err, ErrMoved) && !errors.Is(err, ErrUnknowable):
		return "", nil // what is followed either way need not be known
	case err != nil && !errors.Is(err, ErrUnknowable) && !errors.Is(err, ErrLimit):
		return "", err
	}
	notice := fmt.Sprintf("%s was rewritten: %s does not descend from %s, which was applied", c.Ref, c.Hash, old)
	if err != nil {
		notice = fmt.Sprintf("%s may have been rewritten: whether %s descends from %s, which was applied, cannot be told (%v)", c.Ref, c.Hash, old, err)
	}
	if g.policy.Rewrites == Follow {
		return notice, nil
	}
	return "", fmt.Errorf("%w: %s", ErrHeld, notice)
}

func (g *Gate) grewOnTop(ctx context.Context, old string, c Commit) (onTop bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, g.repo.timeout)
	defer cancel()
	err = g.repo.backend.lineage(ctx, c, look{some: g.policy.Rewrites == Follow, tree: !g.Verifies()}, func(l *lineage) (err error) {
		onTop, err = l.descends(old, c.Hash)
		return err
	})
	return onTop, err
}

// retagged compares a tag with what it named when it was applied last.
func (g *Gate) retagged(name string, applied []Commit, c Commit) (string, error) {
	for _, a := range applied {
		if a.Ref != c.Ref {
			continue
		}
		if a.Hash == c.Hash {
			return "", nil
		}
		notice := fmt.Sprintf("tag %s was moved: it named %s when it was applied and names %s now", name, a.Hash, c.Hash)
		if g.policy.Retags == Follow {
			return notice, nil
		}
		return "", fmt.Errorf("%w: %s", ErrHeld, notice)
	}
	return "", nil
}
