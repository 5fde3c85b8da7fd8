package source

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// semverPrefix begins a reference that is a range of versions. No name in Git
// holds a colon.
const semverPrefix = "semver:"

// maxTagName bounds the names that are read as versions.
const maxTagName = 128

// newestTag gives the full name of the tag with the highest version in a range, as
// github.com/Masterminds/semver reads it: a prerelease fits only a range that names
// one. Tags are versions of three numbers, with "v" before them or without; others
// are passed over. Two tags of one version are ErrAmbiguousRef.
func newestTag(ref string, names []string) (string, error) {
	text := strings.TrimPrefix(ref, semverPrefix)
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("%q names no range of versions: %w", ref, ErrRefNotFound)
	}
	within, err := semver.NewConstraint(text)
	if err != nil {
		return "", fmt.Errorf("%q is not a range of versions: %w: %w", ref, err, ErrRefNotFound)
	}
	var best *semver.Version
	var found, twin string
	for _, full := range names {
		name, isTag := tagName(full)
		if !isTag || len(name) > maxTagName {
			continue
		}
		v, err := semver.StrictNewVersion(strings.TrimPrefix(name, "v"))
		if err != nil || !within.Check(v) {
			continue
		}
		switch {
		case best == nil || v.GreaterThan(best):
			best, found, twin = v, full, ""
		case v.Equal(best):
			twin = full
		}
	}
	switch {
	case best == nil:
		return "", fmt.Errorf("%w: no tag fits", ErrRefNotFound)
	case twin != "":
		return "", fmt.Errorf("%w: %s and %s are one version", ErrAmbiguousRef, min(found, twin), max(found, twin))
	}
	return found, nil
}
