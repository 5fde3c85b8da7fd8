package jwt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"

	"github.com/meshc/meshc/dataplane/filter"
)

const (
	defaultCache = 10 * time.Minute // of Envoy
	refetch      = time.Second      // after a failure; of Envoy's failed_refetch_duration
	reread       = time.Second      // of a file that could not be read
)

// source is where the keys of a provider come from. It is safe for concurrent use.
type source struct {
	now  atomic.Pointer[Keys] // nil: there are none
	file string

	mu    sync.Mutex
	tried time.Time // when the file was last read

	// Of keys that are fetched.
	cluster, uri   string
	timeout, cache time.Duration
	tries          int
	asked          atomic.Bool            // the first fetch has ended, or ended in failure
	first          filter.Event           // that end
	next           atomic.Pointer[source] // that goes on in place of this one
}

func newSource(p *jwtv3.JwtProvider) (*source, error) {
	if r := p.GetRemoteJwks(); r != nil {
		return remoteSource(r)
	}
	s := new(source)
	switch from := p.GetLocalJwks().GetSpecifier().(type) {
	case *corev3.DataSource_Filename:
		s.file = from.Filename
		s.keys()
		return s, nil
	case *corev3.DataSource_InlineString:
		return s, s.set([]byte(from.InlineString))
	case *corev3.DataSource_InlineBytes:
		return s, s.set(from.InlineBytes)
	}
	return nil, errors.New("needs local_jwks or remote_jwks")
}

func remoteSource(r *jwtv3.RemoteJwks) (*source, error) {
	u := r.GetHttpUri()
	s := &source{cluster: u.GetCluster(), uri: u.GetUri(), timeout: u.GetTimeout().AsDuration(), cache: defaultCache,
		tries: 1 + int(r.GetRetryPolicy().GetNumRetries().GetValue())}
	if d := r.GetCacheDuration(); d != nil {
		s.cache = max(d.AsDuration(), refetch)
	}
	if s.cluster == "" || s.timeout <= 0 || s.tries > 10 {
		return nil, errors.New("remote_jwks: needs a cluster, a timeout above 0 and at most 9 retries")
	}
	if _, err := http.NewRequest(http.MethodGet, s.uri, nil); err != nil {
		return nil, fmt.Errorf("remote_jwks: uri: %w", err)
	}
	return s, nil
}

// inherit takes the keys of o, if they are from the same place, and s has none.
func (s *source) inherit(o *source) {
	if s.cluster != "" && s.cluster == o.cluster && s.uri == o.uri {
		s.now.CompareAndSwap(nil, o.now.Load())
		o.next.Store(s)
	}
}

// answered is the end of the first fetch, in whatever.
func (s *source) answered() {
	s.asked.Store(true)
	s.first.Happen()
}

// leave lets those who still wait for the first fetch go, or hands them over.
func (s *source) leave() {
	next := s.next.Load()
	if next == nil {
		s.answered()
		return
	}
	next.first.Then(func() {
		s.now.CompareAndSwap(nil, next.now.Load())
		s.answered()
	})
}

func (s *source) set(raw []byte) error {
	keys, err := ParseKeys(raw)
	if err == nil {
		s.now.Store(keys)
	}
	return err
}

// keys are those known now. A file that could not be read is read again, now and
// then: it may come after the configuration that names it.
func (s *source) keys() *Keys {
	if k := s.now.Load(); k != nil || s.file == "" {
		return k
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.tried) < reread {
		return s.now.Load()
	}
	s.tried = time.Now()
	if raw, err := os.ReadFile(s.file); err == nil {
		_ = s.set(raw) // without keys, tokens are refused, and the answer says it
	}
	return s.now.Load()
}

// waits says that keys are on their way for the first time.
func (s *source) waits() bool { return s.cluster != "" && s.now.Load() == nil && !s.asked.Load() }

// run fetches until ctx ends: again when the cache is over, and soon after a
// failure. Keys stay until others have come.
func (s *source) run(ctx context.Context, dial filter.Dial) {
	client := &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, s.cluster, "http/1.1") },
			// The cluster says whether it is TLS: what dial gives has done it.
			DialTLSContext:    func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, s.cluster, "http/1.1") },
			TLSNextProto:      map[string]func(string, *tls.Conn) http.RoundTripper{},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for ctx.Err() == nil {
		pause := s.cache
		if err := s.fetch(ctx, client); err != nil {
			pause = refetch
		}
		if ctx.Err() == nil {
			s.answered()
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	s.leave()
}

func (s *source) fetch(ctx context.Context, client *http.Client) (err error) {
	for range s.tries {
		if err = s.fetchOnce(ctx, client); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (s *source) fetchOnce(ctx context.Context, client *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.uri, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", s.uri, resp.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return err
	}
	return s.set(raw)
}
