package source

import (
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	branches = "refs/heads/"
	tags     = "refs/tags/"
)

// tagName gives the name of a tag from its full reference.
func tagName(full string) (string, bool) { return strings.CutPrefix(full, tags) }

// qualify turns ref into a full name with the help of exists, which says
// whether the repository has a full name. A hash is returned as it is.
func qualify(ref string, exists func(full string) (bool, error)) (string, error) {
	if ref == "HEAD" || strings.HasPrefix(ref, "refs/") || plumbing.IsHash(ref) {
		return ref, nil
	}
	if err := plumbing.NewBranchReferenceName(ref).Validate(); err != nil {
		return "", fmt.Errorf("%q is not a reference name: %w", ref, ErrRefNotFound)
	}
	branch, err := exists(branches + ref)
	if err != nil {
		return "", err
	}
	tag, err := exists(tags + ref)
	switch {
	case err != nil:
		return "", err
	case branch && tag:
		return "", fmt.Errorf("%w: write %s%s or %s%s", ErrAmbiguousRef, branches, ref, tags, ref)
	case branch:
		return branches + ref, nil
	case tag:
		return tags + ref, nil
	}
	return "", ErrRefNotFound
}
