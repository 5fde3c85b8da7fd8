package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
)

// maxTokens bounds the tokens that are kept, each for an audience.
const maxTokens = 64

// tokens are JWT-SVIDs that may be given again.
type tokens struct {
	mu   sync.Mutex
	kept map[string]token
}

type token struct {
	text    string
	renewAt time.Time
}

// ErrNone is the answer to who asks for something of an identity while there is none
// that is valid.
var ErrNone = errors.New("identity: none that is valid")

// JWT returns a JWT-SVID of the identity for an audience. The authority makes it; one
// that was made before is given again for half of its life, so that whoever asks for
// each request does not ask the authority. Errors of the authority are those of gRPC.
func (s *Source) JWT(ctx context.Context, audience []string) (string, error) {
	cur := s.Current()
	if cur == nil {
		return "", ErrNone
	}
	key := fmt.Sprintf("%q %q", cur.SPIFFEID, audience)
	if text, ok := s.tokens.get(key, s.cfg.Now()); ok {
		if _, err := s.ValidateJWT(text, audience); err == nil { // its key may have been taken out of the bundle
			return text, nil
		}
	}
	asked := s.cfg.Now()
	text, err := s.askJWT(ctx, cur, audience)
	if err != nil {
		return "", fmt.Errorf("authority at %s: %w", s.cfg.CAAddress, err)
	}
	svid, err := jwtsvid.ParseInsecure(text, audience) // it came from the authority itself
	if err != nil {
		return "", fmt.Errorf("reply of the authority at %s: %w", s.cfg.CAAddress, err)
	}
	if svid.ID.String() != cur.SPIFFEID {
		return "", fmt.Errorf("the authority at %s gave a token of %q, not of %q", s.cfg.CAAddress, svid.ID, cur.SPIFFEID)
	}
	s.tokens.put(key, token{text: text, renewAt: asked.Add(svid.Expiry.Sub(asked) / 2)}, asked)
	return text, nil
}

func (s *Source) askJWT(ctx context.Context, cur *Identity, audience []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	tlsConfig, err := clientTLS(&s.cfg, cur)
	if err != nil {
		return "", err
	}
	conn, err := connect(&s.cfg, tlsConfig)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	reply, err := workload.NewSpiffeWorkloadAPIClient(conn).FetchJWTSVID(ctx, &workload.JWTSVIDRequest{Audience: audience, SpiffeId: cur.SPIFFEID})
	if err != nil {
		return "", err
	}
	if n := len(reply.GetSvids()); n != 1 {
		return "", fmt.Errorf("it gave %d tokens", n)
	}
	return reply.GetSvids()[0].GetSvid(), nil
}

// ValidateJWT verifies a JWT-SVID that is for one of the audiences, by the keys of the
// trust domain that it is of.
func (s *Source) ValidateJWT(text string, audience []string) (*jwtsvid.SVID, error) {
	set, err := jwtBundles(s.Bundles().Keys)
	if err != nil {
		return nil, err
	}
	return jwtsvid.ParseAndValidate(text, set, audience)
}

func (t *tokens) get(key string, now time.Time) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.kept[key]
	return found.text, ok && now.Before(found.renewAt)
}

// put keeps a token, in place of those that are not given any more, and of any other
// when there are too many.
func (t *tokens) put(key string, next token, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept == nil {
		t.kept = map[string]token{}
	}
	for k, old := range t.kept {
		if !now.Before(old.renewAt) {
			delete(t.kept, k)
		}
	}
	for k := range t.kept {
		if len(t.kept) < maxTokens {
			break
		}
		delete(t.kept, k)
	}
	t.kept[key] = next
}
