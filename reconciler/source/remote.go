package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// session is one conversation with git-upload-pack: the references first, then
// at most one pack. It ends when its context does.
type session interface {
	references(ctx context.Context) (*packp.AdvRefs, error)
	uploadPack(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	Close() error
}

// dialer opens sessions with one remote.
type dialer interface {
	dial(ctx context.Context) (session, error)
}

// remoteRepository fetches each commit afresh with depth 1 into an empty
// store. Incremental fetches of shallow clones break on a force-push
// (go-git#1443), and a mesh is small.
//
// What a question about history has fetched anyway is kept for the tree that is read
// next.
type remoteRepository struct {
	dialer dialer
	limits Limits

	mu     sync.Mutex
	keptOf Commit
	kept   *fetched
}

func newDialer(a address, opts Options) (dialer, error) {
	plain := a.scheme == schemeHTTP || a.scheme == schemeGit
	if plain && !a.loopback() && !opts.AllowInsecure {
		return nil, fmt.Errorf("repository %s is reached in plaintext: use https or ssh, or allow it explicitly", a)
	}
	switch a.scheme {
	case schemeHTTP, schemeHTTPS:
		return newHTTPDialer(a, opts)
	case schemeSSH:
		return newSSHDialer(a, opts)
	}
	if opts.TokenFile != "" || opts.SSHKeyFile != "" || opts.App.given() {
		return nil, fmt.Errorf("repository %s: git:// takes no credentials", a)
	}
	return &gitDialer{addr: a, limits: opts.Limits}, nil
}

func (r *remoteRepository) list(ctx context.Context) (session, *packp.AdvRefs, error) {
	s, err := r.dialer.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	refs, err := s.references(ctx)
	if err != nil {
		return nil, nil, errors.Join(listError(err), s.Close())
	}
	return s, refs, nil
}

func listError(err error) error {
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return ErrEmptyRepository
	}
	return fmt.Errorf("list references: %w", err)
}

func (r *remoteRepository) head(ctx context.Context, ref string) (c Commit, err error) {
	s, refs, err := r.list(ctx)
	if err != nil {
		return Commit{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var full string
	if strings.HasPrefix(ref, semverPrefix) {
		full, err = newestTag(ref, slices.Collect(maps.Keys(refs.References)))
	} else {
		full, err = qualify(ref, func(name string) (bool, error) {
			_, found := refs.References[name]
			return found, nil
		})
	}
	if err != nil {
		return Commit{}, err
	}
	_, commit, err := advertised(refs, full)
	if err != nil {
		return Commit{}, err
	}
	return Commit{Ref: full, Hash: commit.String()}, nil
}

// advertised gives what to ask the server for, and the commit that it leads
// to: they differ for an annotated tag, whose commit a server need not hand
// out by its own hash.
func advertised(refs *packp.AdvRefs, full string) (want, commit plumbing.Hash, err error) {
	if plumbing.IsHash(full) {
		return advertisedHash(refs, plumbing.NewHash(full))
	}
	if full == "HEAD" {
		if refs.Head == nil {
			return want, commit, fmt.Errorf("%w: the remote has no HEAD", ErrRefNotFound)
		}
		return *refs.Head, *refs.Head, nil
	}
	want, found := refs.References[full]
	if !found {
		return want, commit, ErrRefNotFound
	}
	if peeled, ok := refs.Peeled[full]; ok {
		return want, peeled, nil
	}
	return want, want, nil
}

// still gives what to ask the server for, if the reference leads to c as before.
func still(refs *packp.AdvRefs, c Commit) (want plumbing.Hash, err error) {
	want, commit, err := advertised(refs, c.Ref)
	if err == nil && commit.String() != c.Hash {
		err = fmt.Errorf("%w: %s is now at %.12s", ErrMoved, c.Ref, commit)
	}
	return want, err
}

func advertisedHash(refs *packp.AdvRefs, h plumbing.Hash) (want, commit plumbing.Hash, err error) {
	for _, tip := range refs.References {
		if tip == h {
			return h, h, nil
		}
	}
	if refs.Capabilities.Supports(capability.AllowReachableSHA1InWant) {
		return h, h, nil
	}
	return want, commit, fmt.Errorf("%w: no reference points at it, and the server gives out no other commits", ErrRefNotFound)
}

func (r *remoteRepository) tree(ctx context.Context, c Commit, dir string) (tree fs.FS, err error) {
	if got := r.take(c); got != nil {
		return newTree(ctx, got.objects, c.Hash, dir, r.limits)
	}
	s, refs, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	want, err := still(refs, c)
	if err != nil {
		return nil, err
	}
	got, err := r.fetch(ctx, s, refs, fetchRequest{want: want, depth: 1})
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return newTree(ctx, got.objects, c.Hash, dir, r.limits)
}

// fetchRequest is what to ask a server for.
type fetchRequest struct {
	want        plumbing.Hash
	depth       int  // commits behind one another, at least 1
	commitsOnly bool // leave trees and files out, where the server can
}

// fetched is what a server gave.
type fetched struct {
	objects storer.EncodedObjectStorer
	shallow bool // the history goes on behind what was given
}

// fetch asks for one object and a part of the history behind it.
func (r *remoteRepository) fetch(ctx context.Context, s session, refs *packp.AdvRefs, f fetchRequest) (*fetched, error) {
	req := packp.NewUploadPackRequestFromCapabilities(refs.Capabilities)
	req.Wants = []plumbing.Hash{f.want}
	set := []capability.Capability{}
	if refs.Capabilities.Supports(capability.Shallow) {
		req.Depth = packp.DepthCommits(f.depth)
		set = append(set, capability.Shallow)
	}
	if refs.Capabilities.Supports(capability.NoProgress) {
		set = append(set, capability.NoProgress)
	}
	if f.commitsOnly && refs.Capabilities.Supports(capability.Filter) {
		req.Filter = packp.FilterTreeDepth(0)
		set = append(set, capability.Filter)
	}
	for _, c := range set {
		if err := req.Capabilities.Set(c); err != nil {
			return nil, err
		}
	}
	resp, err := s.uploadPack(ctx, req)
	if err != nil {
		return nil, err
	}
	pack, err := readPack(demultiplex(req.Capabilities, resp), r.limits)
	if err := errors.Join(err, resp.Close()); err != nil {
		return nil, err
	}
	objects := filesystem.NewStorage(memfs.New(), cache.NewObjectLRU(16*cache.MiByte))
	if err := packfile.UpdateObjectStorage(objects, bytes.NewReader(pack)); err != nil {
		return nil, fmt.Errorf("index the pack: %w", err)
	}
	return &fetched{objects: objects, shallow: len(resp.Shallows) > 0}, nil
}

func demultiplex(caps *capability.List, r io.Reader) io.Reader {
	switch {
	case caps.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case caps.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	}
	return r
}
