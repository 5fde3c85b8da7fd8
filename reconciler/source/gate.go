package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/meshc/meshc/reconciler/source/signature"
)

// Verification says what of a reference must be signed.
type Verification string

// Verifications. VerifyRange asks for a signature of every commit along first
// parents since the one that was applied last, so that nothing that was pushed
// unsigned comes in under a signed commit.
const (
	VerifyNone  Verification = ""
	VerifyHead  Verification = "head"  // the commit itself
	VerifyRange Verification = "range" // every commit since the last applied one
	VerifyTag   Verification = "tag"   // the annotated tag that leads to the commit
)

// Verifications lists what Policy.Verify can be, beside VerifyNone.
var Verifications = []Verification{VerifyHead, VerifyRange, VerifyTag}

// ErrUntrusted says that a commit, or what leads to it, is not signed as the
// policy demands.
var ErrUntrusted = errors.New("verification failed")

// Move says what to do about a reference that moved otherwise than by commits on
// top of what it pointed at.
type Move string

// Moves.
const (
	Follow Move = "follow" // serve it, and say so
	Hold   Move = "hold"   // keep what serves
)

// ErrHeld says that a commit is held back because its reference was moved.
var ErrHeld = errors.New("held")

// Policy says which commits may be served.
type Policy struct {
	Rewrites Move // of a branch that is not a descendant of what was applied; default Follow
	Retags   Move // of a tag that names another commit than when it was applied; default Hold

	Verify Verification
	Keys   signature.Files

	// Anchor is the full hash of a commit that is trusted with all before it: where
	// VerifyRange ends when nothing has been applied yet, or nothing that was is part
	// of the history any more. Without it the first commit ever is trusted by its own
	// signature alone, and a rewritten history is refused. Optional.
	Anchor string
}

// Gate holds the commits of a repository against a policy.
type Gate struct {
	repo   *Repository
	policy Policy
}

// NewGate checks the policy and reads its keys once, so that a mistake shows at
// the start.
func (r *Repository) NewGate(p Policy) (*Gate, error) {
	if p.Rewrites == "" {
		p.Rewrites = Follow
	}
	if p.Retags == "" {
		p.Retags = Hold
	}
	for _, m := range []Move{p.Rewrites, p.Retags} {
		if m != Follow && m != Hold {
			return nil, fmt.Errorf("%q is not one of follow and hold", m)
		}
	}
	switch p.Verify {
	case VerifyNone:
		if p.Keys.AllowedSigners != "" || len(p.Keys.PGP) > 0 || p.Anchor != "" {
			return nil, errors.New("keys are given, and nothing says what must be signed: head, range or tag")
		}
		return &Gate{repo: r, policy: p}, nil
	case VerifyHead, VerifyRange, VerifyTag:
	default:
		return nil, fmt.Errorf("verification %q is not one of head, range and tag", p.Verify)
	}
	if p.Anchor != "" && (p.Verify != VerifyRange || !plumbing.IsHash(p.Anchor)) {
		return nil, fmt.Errorf("%q cannot be where verification begins: that is a full hash, and for range", p.Anchor)
	}
	if p.Anchor != strings.ToLower(p.Anchor) {
		return nil, fmt.Errorf("%q cannot be where verification begins: hashes are of lower-case digits", p.Anchor)
	}
	if _, err := p.Keys.Load(); err != nil {
		return nil, err
	}
	return &Gate{repo: r, policy: p}, nil
}

// Fingerprint changes when something may be judged otherwise than before: when a
// file of keys was replaced.
func (g *Gate) Fingerprint() string {
	if g.policy.Verify == VerifyNone {
		return ""
	}
	return g.policy.Keys.Fingerprint()
}

// Verifies says whether anything must be signed.
func (g *Gate) Verifies() bool { return g.policy.Verify != VerifyNone }

// Judgement says on what grounds a commit may be served.
type Judgement struct {
	SignedBy string // who signed the commit or the tag; "" where nothing must be signed
	Verified int    // how many objects were found to be signed
	Notice   string // how the reference was moved, where that is followed
}

// Judge says whether c may be served after applied, the commits that were applied,
// the newest first, each with the reference that it was found at. The error wraps
// ErrUntrusted or ErrHeld, or is one of those of Tree.
func (g *Gate) Judge(ctx context.Context, applied []Commit, c Commit) (j Judgement, err error) {
	if j.Notice, err = g.moved(ctx, applied, c); err != nil {
		return j, err
	}
	if g.policy.Verify == VerifyNone {
		return j, nil
	}
	notice := j.Notice
	var hashes []string
	for _, a := range applied {
		hashes = append(hashes, a.Hash)
	}
	keys, err := g.policy.Keys.Load()
	if err != nil {
		return j, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.repo.timeout)
	defer cancel()
	err = g.repo.backend.lineage(ctx, c, look{}, func(l *lineage) (err error) {
		j, err = g.judge(l, keys, hashes, c)
		return err
	})
	j.Notice = notice
	if errors.Is(err, ErrUnknowable) || errors.Is(err, ErrLimit) || errors.Is(err, signature.ErrMalformed) {
		err = fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if err != nil {
		return j, fmt.Errorf("commit %.12s of %s: %w", c.Hash, g.repo, err)
	}
	return j, nil
}

func (g *Gate) judge(l *lineage, keys *signature.Keys, applied []string, c Commit) (Judgement, error) {
	if g.policy.Verify == VerifyTag {
		return judgeTag(l, keys, c)
	}
	line, err := g.demanded(l, applied, c)
	if err != nil {
		return Judgement{}, err
	}
	if g.policy.Verify == VerifyRange && len(applied) > 0 && c.Hash == applied[0] {
		return already(keys, line[0]), nil
	}
	j := Judgement{Verified: len(line)}
	for i := len(line) - 1; i >= 0; i-- { // oldest first: the cause
		signer, err := keys.Verify(line[i].object)
		if err != nil {
			return Judgement{}, fmt.Errorf("%w: commit %s %w", ErrUntrusted, line[i].hash, err)
		}
		j.SignedBy = signer.String()
	}
	return j, nil
}

// already speaks of a commit that was applied before. It is not refused when its
// key has been taken off the list since: what comes after it is what counts.
func already(keys *signature.Keys, c link) Judgement {
	signer, err := keys.Verify(c.object)
	if err != nil {
		return Judgement{}
	}
	return Judgement{SignedBy: signer.String(), Verified: 1}
}

// demanded gives the commits that must be signed, newest first; at least c.
func (g *Gate) demanded(l *lineage, applied []string, c Commit) ([]link, error) {
	var bases []string
	if g.policy.Verify == VerifyRange {
		if bases = slices.Clone(applied); g.policy.Anchor != "" {
			bases = append(bases, g.policy.Anchor)
		}
	}
	if len(bases) > 0 {
		line, reached, err := l.line(c.Hash, bases)
		switch {
		case err != nil:
			return nil, err
		case !reached:
			return nil, fmt.Errorf("%w: its history does not lead to %.12s or anything else that was applied, from where on all must be signed; when it was rewritten on purpose, name a commit of it that is trusted", ErrUntrusted, bases[0])
		case len(line) > 0:
			return line, nil
		}
	}
	head, err := l.commit(c.Hash)
	if err != nil {
		return nil, err
	}
	return []link{{c.Hash, head}}, nil
}

// judgeTag wants a signed tag that is about this commit and has the name by which
// it was found: a tag that is right in itself must not stand for another one.
func judgeTag(l *lineage, keys *signature.Keys, c Commit) (Judgement, error) {
	name, isTag := tagName(c.Ref)
	if !isTag {
		return Judgement{}, fmt.Errorf("%w: %s is not a tag", ErrUntrusted, c.Ref)
	}
	if l.top.String() == c.Hash {
		return Judgement{}, fmt.Errorf("%w: tag %s is not an annotated one, which could be signed", ErrUntrusted, name)
	}
	raw, err := l.raw(plumbing.TagObject, l.top.String())
	if err != nil {
		return Judgement{}, fmt.Errorf("tag %s: %w", name, err)
	}
	tag, err := signature.ParseTag(raw)
	if err != nil {
		return Judgement{}, fmt.Errorf("tag %s: %w", name, err)
	}
	if tag.Type != "commit" || tag.Target != c.Hash || tag.Name != name {
		return Judgement{}, fmt.Errorf("%w: tag %s holds the tag %q of the %s %.12s", ErrUntrusted, name, tag.Name, tag.Type, tag.Target)
	}
	signer, err := keys.Verify(tag)
	if err != nil {
		return Judgement{}, fmt.Errorf("%w: tag %s (%s) %w", ErrUntrusted, name, l.top, err)
	}
	return Judgement{SignedBy: signer.String(), Verified: 1}, nil
}
