package identity

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// Config of a Source. CAAddress, CARootFile and Dir are required.
type Config struct {
	CAAddress  string // "host:port" or "unix:///path" of the authority's gRPC service
	CARootFile string // PEM, given out of band; counts until a trust bundle is known, and when it is replaced
	TokenFile  string // join token, mode 0600; needed until there is an identity
	// AccountTokenFile holds a token that a platform keeps fresh, such as a
	// Kubernetes service account's projected into a pod. It is read for each
	// certificate, and proves anew who asks; TokenFile is not used then.
	AccountTokenFile string
	SPIFFEID         string // wanted identity; "" takes what the token or directory says
	Dir              string // made with mode 0700 when missing
	// TTL to ask for; 0 leaves it to the authority, which also has the last
	// word on it.
	TTL time.Duration
	Now func() time.Time // nil = time.Now
	Log *slog.Logger     // nil = slog.Default()
}

// Source keeps one identity fresh while Run runs. It is safe for concurrent
// use.
type Source struct {
	cfg Config

	mu      sync.Mutex
	current *Identity
	changed chan struct{} // closed and replaced by tell
	bundles Bundles       // without the roots of the own trust domain, which current has

	keeping sync.Mutex        // held while an identity is replaced, on disk and here
	told    map[string][]byte // the last bundles that the authority told of by itself
	toldAt  time.Time

	sooner chan struct{} // gets a value when renewAt was brought forward

	tokens tokens
}

// tell wakes those who watch; mu is held.
func (s *Source) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Open reads the identity that an earlier run kept, if it is still valid, and
// talks to nobody. One that is damaged or of another SPIFFE ID is an error; an
// expired one is as good as none.
func Open(cfg Config) (*Source, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if err := privatefile.EnsureDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	s := &Source{cfg: cfg, changed: make(chan struct{}), sooner: make(chan struct{}, 1)}
	id, err := load(cfg.Dir, cfg.Now())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case isExpired(err):
		cfg.Log.Warn("the kept identity has expired", "dir", cfg.Dir)
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("identity: %w", err)
	case cfg.SPIFFEID != "" && id.SPIFFEID != cfg.SPIFFEID:
		return nil, fmt.Errorf("identity: %s holds %q, not %q", cfg.Dir, id.SPIFFEID, cfg.SPIFFEID)
	}
	foreign, err := ofAnotherAuthority(&cfg, id)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if foreign {
		cfg.Log.Warn("the kept identity is of another authority; joining anew", "dir", cfg.Dir)
		return s, nil
	}
	id.schedule(id.Certificate.Leaf.NotBefore)
	s.current = id
	s.bundles = keptBundles(&cfg, id)
	return s, nil
}

// ofAnotherAuthority says whether a kept identity shares no root with a root file
// that was replaced since, while a join token lies ready: the authority was set up
// anew, and would refuse the old identity. Without a token the old identity is all
// there is, and a file that nobody has replaced is behind the bundle.
func ofAnotherAuthority(cfg *Config, id *Identity) (bool, error) {
	if _, err := cfg.token(nil); err != nil {
		return false, nil
	}
	file, err := os.ReadFile(cfg.CARootFile)
	if err != nil {
		return false, fmt.Errorf("root of the authority: %w", err)
	}
	if replaced, err := rootFileReplaced(cfg, file); err != nil || !replaced {
		return false, err
	}
	roots, err := certificates(file)
	if err != nil {
		return false, fmt.Errorf("root of the authority in %s: %w", cfg.CARootFile, err)
	}
	own, err := certificates(id.BundlePEM)
	if err != nil {
		return false, err
	}
	for _, a := range roots {
		if slices.ContainsFunc(own, a.Equal) {
			return false, nil
		}
	}
	return true, nil
}

// Current returns the identity, nil when there is none that is valid now.
func (s *Source) Current() *Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || !s.cfg.Now().Before(s.current.NotAfter()) {
		return nil
	}
	return s.current
}

// Wait returns the identity as soon as there is a valid one, or the error of
// ctx.
func (s *Source) Wait(ctx context.Context) (*Identity, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if id := s.Current(); id != nil {
			return id, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("identity: none yet: %w", ctx.Err())
		case <-changed:
		}
	}
}

// Watch returns a channel that gets one value after one or more renewals or changes of
// bundles. It is closed when ctx ends.
func (s *Source) Watch(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	s.mu.Lock()
	changed := s.changed
	s.mu.Unlock()
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			s.mu.Lock()
			changed = s.changed
			s.mu.Unlock()
			select {
			case out <- struct{}{}:
			default: // the last news is still unread; it covers this one too
			}
		}
	}()
	return out
}

// Run gets the identity if there is none, renews it at half of its life, and follows
// the authority's roots, until ctx ends. A failure is logged and tried again, with growing pauses;
// while the identity is valid nothing else comes of it.
func (s *Source) Run(ctx context.Context) {
	var following sync.WaitGroup
	following.Go(func() { s.follow(ctx) })
	defer following.Wait()
	failures := 0
	var alarm alarm
	for {
		wait := s.untilDue()
		if wait <= 0 {
			if err := s.renew(ctx); err == nil {
				failures = 0
				alarm.end(s.cfg.Log)
				wait = max(s.untilDue(), minPause)
			} else if ctx.Err() == nil {
				wait = s.pause(failures)
				failures++
				s.cfg.Log.Warn("identity not renewed", "spiffeID", s.cfg.SPIFFEID, "retryIn", wait, "error", err)
				alarm.sound(s)
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-s.sooner:
			timer.Stop()
		}
	}
}

// checkEvery bounds a sleep: the clock that counts sleeps stops while a
// machine is suspended, the one that ends certificates does not.
const checkEvery = 30 * time.Second

// untilDue is how long to sleep; 0 means renew now.
func (s *Source) untilDue() time.Duration {
	s.mu.Lock()
	cur := s.current
	s.mu.Unlock()
	if cur == nil {
		return 0
	}
	now := s.cfg.Now()
	if !now.Before(cur.renewAt) || !now.Before(cur.lateAt) {
		return 0
	}
	return min(cur.renewAt.Sub(now), checkEvery)
}

func (s *Source) renew(ctx context.Context) error {
	asked := s.cfg.Now()
	id, err := obtain(ctx, &s.cfg, s.Current())
	if err != nil {
		return err
	}
	s.keeping.Lock()
	defer s.keeping.Unlock()
	told := s.told != nil && !s.toldAt.Before(asked) // the reply may be from before that
	if told {
		newer, err := id.withBundle(s.told)
		if err != nil {
			return err
		}
		if newer != nil {
			id = newer
		}
	}
	if err := save(&s.cfg, id); err != nil {
		return err
	}
	id.schedule(asked)
	if told && !id.underFirstRoot() {
		id.renewAt = id.soon(s.cfg.Now()) // what adopt planned was for the one before
	}
	s.mu.Lock()
	s.current = id
	s.tell()
	s.mu.Unlock()
	s.cfg.Log.Info("identity issued", "identity", id)
	return nil
}

// Pauses between attempts.
const (
	minPause = 200 * time.Millisecond
	maxPause = 10 * time.Second
)

// pause doubles with each failure and stays short against the life that is
// left, with jitter so that the workloads of a machine do not ask in step.
func (s *Source) pause(failures int) time.Duration {
	p := maxPause
	if failures < 6 {
		p = min(maxPause, minPause<<failures)
	}
	if cur := s.Current(); cur != nil {
		p = min(p, max(minPause, cur.NotAfter().Sub(s.cfg.Now())/8))
	}
	return p/2 + rand.N(p/2+1)
}

// schedule plans the renewal of an identity that was issued at the time since:
// half-way through its life, give or take a tenth of it. renewAt counts on the
// monotonic clock, so that setting the wall clock makes nobody renew; lateAt is
// the wall clock's, which certificates end by.
func (i *Identity) schedule(since time.Time) {
	i.issued = since.Round(0)
	life := max(0, i.NotAfter().Sub(since))
	i.renewAt = since.Add(life*4/10 + rand.N(life/5+1))
	i.lateAt = since.Add(life * 9 / 10).Round(0)
}

func (c *Config) check() error {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	switch {
	case c.CAAddress == "":
		return errors.New("the address of the authority is missing")
	case c.CARootFile == "":
		return errors.New("the file with the authority's root is missing: without it any server would be trusted")
	case c.Dir == "":
		return errors.New("the identity directory is missing")
	case c.TokenFile != "" && c.AccountTokenFile != "":
		return errors.New("a join token and a token of the platform together are ambiguous")
	case c.TTL < 0:
		return fmt.Errorf("lifetime %s is negative", c.TTL)
	}
	if !strings.HasPrefix(c.CAAddress, "unix://") {
		host, port, err := net.SplitHostPort(c.CAAddress)
		if err != nil {
			return fmt.Errorf("address %q of the authority: %w", c.CAAddress, err)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
			return fmt.Errorf("address %q of the authority is not host:port", c.CAAddress)
		}
	}
	if c.SPIFFEID != "" {
		if _, err := spiffeid.FromString(c.SPIFFEID); err != nil {
			return fmt.Errorf("SPIFFE ID %q: %w", c.SPIFFEID, err)
		}
	}
	return nil
}

// target is CAAddress for gRPC.
func (c *Config) target() string {
	if strings.HasPrefix(c.CAAddress, "unix://") {
		return c.CAAddress
	}
	return "dns:///" + c.CAAddress
}
