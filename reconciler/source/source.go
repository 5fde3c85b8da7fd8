// Package source turns a Git repository into commits that can be compiled: a
// reference name goes in, a commit and its tree as a read-only fs.FS come out.
// The tree is read straight from the object store; there is never a checkout,
// so no symlink can be followed, no path can escape and nothing half-written
// can be seen.
package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Commit is what a reference pointed at.
type Commit struct {
	Ref  string // fully qualified: "refs/heads/main", "HEAD", or the hash itself
	Hash string // 40 lower-case hex digits
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrRefNotFound says that the repository has no such reference.
	ErrRefNotFound = errors.New("reference not found")
	// ErrAmbiguousRef says that a short name is both a branch and a tag.
	ErrAmbiguousRef = errors.New("ambiguous reference")
	// ErrEmptyRepository says that the repository has no commit yet.
	ErrEmptyRepository = errors.New("repository is empty")
	// ErrMoved says that the reference moved between Head and Tree; asking for
	// Head again answers it.
	ErrMoved = errors.New("reference moved")
	// ErrRefused says that the tree holds something that is never read: a
	// symbolic link, a submodule or an unusable name.
	ErrRefused = errors.New("refused")
	// ErrLimit says that a bound of Limits was passed.
	ErrLimit = errors.New("limit passed")
	// ErrUnknowable says that this clone does not hold enough history to tell.
	ErrUnknowable = errors.New("not enough history")
)

// Limits bound what one commit may cost. The zero value of a field takes its
// default.
type Limits struct {
	Files      int   // files and directories under the path; default 20,000
	FileBytes  int64 // one file; default 4 MiB
	TotalBytes int64 // all files under the path; default 64 MiB
	PackBytes  int64 // a remote's pack as sent; default 128 MiB
	ListBytes  int64 // a remote's list of references as sent; default 16 MiB
	Inflated   int64 // all objects of a pack when inflated; default 1 GiB
	Commits    int   // of history behind one another, for signatures and rewrites; default 10,000
}

const (
	mebibyte       = 1 << 20
	defaultTimeout = 60 * time.Second
)

func (l Limits) withDefaults() Limits {
	setDefault(&l.Files, 20_000)
	setDefault(&l.FileBytes, 4*mebibyte)
	setDefault(&l.TotalBytes, 64*mebibyte)
	setDefault(&l.PackBytes, 128*mebibyte)
	setDefault(&l.ListBytes, 16*mebibyte)
	setDefault(&l.Inflated, 1024*mebibyte)
	setDefault(&l.Commits, 10_000)
	return l
}

func setDefault[T int | int64](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Options say how to reach a repository. Credentials are files, read again for
// every operation so that they can be rotated without a restart; they never
// stand in the address and are never part of an error.
type Options struct {
	AllowInsecure bool   // http:// and git:// to hosts other than loopback
	Username      string // for the token; default "x-access-token"
	TokenFile     string // https: password of HTTP basic authentication
	App           App    // https: in place of TokenFile
	// CredentialsFor is what addresses begin with that the token or the app is for;
	// another address is refused with them. "" is any.
	CredentialsFor string
	CAFile         string        // https: PEM roots in place of the system's
	SSHKeyFile     string        // ssh: unencrypted private key
	KnownHostsFile string        // ssh: mandatory, hosts are never trusted on first use
	Timeout        time.Duration // for one Head or Tree; default 60 s
	Limits         Limits
}

// Credentials says that there is something to send to an https server.
func (o Options) Credentials() bool { return o.TokenFile != "" || o.App.given() }

// remote names an option that is given and is of repositories elsewhere; "" for none.
func (o Options) remote() string {
	for _, is := range []struct {
		given bool
		name  string
	}{
		{o.AllowInsecure, "to allow plaintext"}, {o.Username != "", "a user name"}, {o.TokenFile != "", "a token"}, {o.App.given(), "a GitHub App"},
		{o.CredentialsFor != "", "to say what credentials are for"}, {o.CAFile != "", "a file of roots"},
		{o.SSHKeyFile != "", "an SSH key"}, {o.KnownHostsFile != "", "a file of known hosts"},
	} {
		if is.given {
			return is.name
		}
	}
	return ""
}

// backend is a kind of repository. Methods may block until ctx ends and are
// safe for concurrent use.
type backend interface {
	head(ctx context.Context, ref string) (Commit, error)
	tree(ctx context.Context, c Commit, dir string) (fs.FS, error)
	descends(ctx context.Context, older, newer string) (bool, error)
	lineage(ctx context.Context, c Commit, k look, ask func(*lineage) error) error
}

// Repository is one Git repository, local or remote.
type Repository struct {
	address string
	local   bool
	timeout time.Duration
	backend backend
}

// Open checks address and options and touches nothing remote. An address is a
// path of this machine (a work tree or a bare repository, only committed state
// is read), or an https://, ssh://, http:// or git:// URL, or host:path as
// git(1) reads it. The last two schemes are plaintext and taken for loopback
// only, unless Options.AllowInsecure is set.
func Open(address string, opts Options) (*Repository, error) {
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	opts.Limits = opts.Limits.withDefaults()
	a, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	r := &Repository{address: a.String(), local: a.scheme == schemeLocal, timeout: opts.Timeout}
	if r.local {
		if name := opts.remote(); name != "" {
			return nil, fmt.Errorf("repository %s is of this machine: %s is of no use", a, name)
		}
		r.backend = &localRepository{path: a.path, limits: opts.Limits}
		return r, nil
	}
	d, err := newDialer(a, opts)
	if err != nil {
		return nil, err
	}
	r.backend = &remoteRepository{dialer: d, limits: opts.Limits}
	return r, nil
}

// Canonical gives an address as String of its repository does.
func Canonical(address string) (string, error) {
	a, err := parseAddress(address)
	return a.String(), err
}

// String gives the address; it never holds credentials.
func (r *Repository) String() string { return r.address }

// Local says that the repository is a path of this machine.
func (r *Repository) Local() bool { return r.local }

// Head resolves ref now. A name that starts with "refs/", "HEAD" and a full
// hash stand for themselves; "semver:" with a range is the tag of the highest
// version in it; a short name is a branch, else a tag, and ErrAmbiguousRef when it
// is both.
func (r *Repository) Head(ctx context.Context, ref string) (Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	c, err := r.backend.head(ctx, ref)
	if err != nil {
		return Commit{}, fmt.Errorf("resolve %q in %s: %w", ref, r.address, err)
	}
	return c, nil
}

// Tree gives the directory dir (slash-separated, "." or "" for the root) of
// commit c. The result is checked against Limits as a whole, is deterministic,
// and stays readable for as long as it is held.
func (r *Repository) Tree(ctx context.Context, c Commit, dir string) (fs.FS, error) {
	dir, err := cleanDir(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	tree, err := r.backend.tree(ctx, c, dir)
	if err != nil {
		return nil, fmt.Errorf("read commit %.12s of %s: %w", c.Hash, r.address, err)
	}
	return tree, nil
}

// Descends says whether newer has older among its ancestors (a commit descends
// from itself), or ErrUnknowable when the history at hand does not reach.
func (r *Repository) Descends(ctx context.Context, older, newer string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if older == newer {
		return true, nil
	}
	return r.backend.descends(ctx, older, newer)
}
