package federation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/bundle"
	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// Options of a Follower. Dir and Changed are required.
type Options struct {
	Dir string // keeps what was fetched, for the next start; made when missing
	// Changed is told all bundles that are known, when one is another, one call at a time.
	Changed  func(map[spiffeid.TrustDomain]bundle.Content)
	Interval time.Duration    // between two looks; 0 = as the bundle says
	Now      func() time.Time // nil = time.Now
	Log      *slog.Logger     // nil = slog.Default()
}

// Follower keeps the bundles of other trust domains. It is safe for concurrent use.
type Follower struct {
	o     Options
	peers []*following

	mu sync.Mutex // held while a bundle is replaced, on disk and here, and told
}

// following is a peer and what is known of it. Its content is guarded by Follower.mu.
type following struct {
	Peer
	initial string // sum of the file Bundle; "" = there is none
	known   bundle.Content
	hint    time.Duration
	status  Status
	broken  error // what was kept of it cannot be read; nil = it can
}

// Status of a peer, for people.
type Status struct {
	TrustDomain string    `json:"trustDomain"`
	URL         string    `json:"url"`
	Sequence    uint64    `json:"sequence,omitempty"`
	Roots       int       `json:"roots"`
	FetchedAt   time.Time `json:"fetchedAt,omitzero"`
	Error       string    `json:"error,omitempty"` // of the last look
}

// Open reads what is known of the peers of trust domain own: what was fetched before,
// unless the file Bundle was replaced since, or else that file. It talks to nobody and
// tells Changed.
func Open(own spiffeid.TrustDomain, peers []Peer, o Options) (*Follower, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := privatefile.EnsureDir(o.Dir); err != nil {
		return nil, fmt.Errorf("federation: %w", err)
	}
	if len(peers) > maxPeers {
		return nil, fmt.Errorf("federation: %d trust domains, more than %d", len(peers), maxPeers)
	}
	f := &Follower{o: o}
	seen := map[spiffeid.TrustDomain]bool{own: true}
	for _, p := range peers {
		if seen[p.TrustDomain] {
			return nil, fmt.Errorf("federation: %q is there twice, or is the own trust domain", p.TrustDomain.Name())
		}
		seen[p.TrustDomain] = true
		one, err := f.load(p)
		if err != nil {
			return nil, fmt.Errorf("federation with %q: %w", p.TrustDomain.Name(), err)
		}
		f.peers = append(f.peers, one)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	o.Changed(f.bundles())
	return f, nil
}

// kept is a file of Dir.
type kept struct {
	Initial string          `json:"initial,omitempty"`
	Bundle  json.RawMessage `json:"bundle"`
}

func (f *Follower) file(p *Peer) string {
	return filepath.Join(f.o.Dir, p.TrustDomain.Name()+".json")
}

func (f *Follower) load(p Peer) (*following, error) {
	out := &following{Peer: p, status: Status{TrustDomain: p.TrustDomain.Name(), URL: p.URL}}
	if _, err := p.webRoots(); err != nil {
		return nil, err
	}
	if p.Bundle != "" {
		data, err := os.ReadFile(p.Bundle)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		out.initial = hex.EncodeToString(sum[:])
		if out.known, err = decodeFile(p.TrustDomain, data); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Bundle, err)
		}
	}
	if err := f.recall(out); err != nil {
		out.known, out.hint = bundle.Content{}, 0
		out.broken = fmt.Errorf("what was kept of it is not believed, and nobody of it is let in: remove %s to begin with the bundle that was handed over: %w", f.file(&p), err)
		out.status.Error = out.broken.Error()
		f.o.Log.Error("the bundle of another trust domain", "trustDomain", p.TrustDomain.Name(), "error", out.broken)
	}
	return out, nil
}

// recall takes over what was fetched before, unless another bundle was handed over since.
// A file that is damaged is an error: to begin anew by itself with what was handed over
// would trust roots again that may have been let go of.
func (f *Follower) recall(p *following) error {
	data, err := privatefile.Read(f.file(&p.Peer))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return err
	}
	if k.Initial != p.initial {
		return nil
	}
	known, hint, err := decode(p.TrustDomain, k.Bundle)
	if err != nil {
		return err
	}
	p.known, p.hint = known, hint
	return nil
}

// bundles are those that are known; mu is held.
func (f *Follower) bundles() map[spiffeid.TrustDomain]bundle.Content {
	out := map[spiffeid.TrustDomain]bundle.Content{}
	for _, p := range f.peers {
		if len(p.known.Roots) > 0 {
			out[p.TrustDomain] = p.known
		}
	}
	return out
}

// Status tells of each peer.
func (f *Follower) Status() []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Status
	for _, p := range f.peers {
		p.status.Sequence, p.status.Roots = p.known.Sequence, len(p.known.Roots)
		out = append(out, p.status)
	}
	return out
}

// Run looks at the endpoints until ctx ends, at each as often as its bundle says. While
// one is away, what is known of it stays.
func (f *Follower) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range f.peers {
		all.Go(func() { f.follow(ctx, p) })
	}
	all.Wait()
}

// Times between two looks: of a bundle that does not say (SPIFFE Trust Domain and
// Bundle, section 4.1.2: five minutes), at most and at least, and after a failure.
const (
	defaultHint = 5 * time.Minute
	longestHint = time.Hour
	leastHint   = time.Second
	retryPause  = 10 * time.Second
)

func (f *Follower) follow(ctx context.Context, p *following) {
	for {
		pause := retryPause
		if err := f.look(ctx, p); err == nil {
			pause = f.pause(p)
		} else if ctx.Err() == nil {
			f.o.Log.Warn("the bundle of another trust domain was not renewed", "trustDomain", p.TrustDomain.Name(), "error", err)
		}
		if f.o.Interval > 0 {
			pause = f.o.Interval
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause*9/10 + rand.N(pause/5+1)):
		}
	}
}

func (f *Follower) pause(p *following) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.hint <= 0 {
		return defaultHint
	}
	return min(max(p.hint, leastHint), longestHint)
}

func (f *Follower) look(ctx context.Context, p *following) error {
	if p.broken != nil {
		return p.broken
	}
	f.mu.Lock()
	known := p.known
	f.mu.Unlock()
	document, err := fetch(ctx, &p.Peer, known, f.o.Now)
	if err == nil {
		err = f.adopt(p, document)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p.status.Error = ""
	if err != nil {
		p.status.Error = err.Error()
		return err
	}
	p.status.FetchedAt = f.o.Now().UTC()
	return nil
}

// adopt takes a bundle over. One of a lower sequence number is from before: somebody
// shows what was signed by keys that may have been let go of.
func (f *Follower) adopt(p *following, document []byte) error {
	next, hint, err := decode(p.TrustDomain, document)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if next.Sequence < p.known.Sequence {
		return fmt.Errorf("sequence number %d, after %d: if the trust domain was set up anew, replace %s", next.Sequence, p.known.Sequence, p.Bundle)
	}
	p.hint = hint
	if next.Equal(&p.known) {
		return nil
	}
	data, err := json.Marshal(kept{Initial: p.initial, Bundle: document})
	if err != nil {
		return err
	}
	if err := privatefile.Write(f.file(&p.Peer), data); err != nil {
		return err
	}
	p.known = next
	f.o.Log.Info("another bundle of a trust domain", "trustDomain", p.TrustDomain.Name(), "sequence", next.Sequence, "roots", len(next.Roots))
	f.o.Changed(f.bundles())
	return nil
}
