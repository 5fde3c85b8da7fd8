package identity

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// Bundles is what an identity can verify others by, each by the SPIFFE ID of its trust
// domain. It is not to be changed.
type Bundles struct {
	Roots map[string][]byte // of X.509-SVIDs: certificates one after the other, DER
	Keys  map[string][]byte // of JWT-SVIDs: a JWK set
}

// othersFile keeps bundles beside that of the own roots, for a start without the
// authority.
const othersFile = "bundles.json"

// Bundles returns the bundles of now: the own trust domain's and those of others that
// it federates with. There are none without an identity, and no keys before the
// authority has told of them.
func (s *Source) Bundles() Bundles {
	cur := s.Current()
	s.mu.Lock()
	out := Bundles{Roots: maps.Clone(s.bundles.Roots), Keys: maps.Clone(s.bundles.Keys)}
	s.mu.Unlock()
	if cur == nil {
		return Bundles{}
	}
	if out.Roots == nil {
		out.Roots = map[string][]byte{}
	}
	out.Roots[cur.TrustDomainID()] = cur.BundleDER()
	return out
}

// BundleDER returns the roots of the trust domain, one after the other.
func (i *Identity) BundleDER() []byte {
	roots, err := certificates(i.BundlePEM)
	if err != nil {
		return nil // an Identity is made of roots that can be read
	}
	var der []byte
	for _, c := range roots {
		der = append(der, c.Raw...)
	}
	return der
}

// TrustDomainID is the SPIFFE ID of the trust domain.
func (i *Identity) TrustDomainID() string {
	return spiffeid.RequireFromString(i.SPIFFEID).TrustDomain().IDString()
}

// adoptFederated takes over the roots of other trust domains. What cannot be read of
// one of them is left out, and does not hold up the others. keeping is held.
func (s *Source) adoptFederated(cur *Identity, told map[string][]byte) error {
	var roots map[string][]byte
	for id, der := range told {
		if id == cur.TrustDomainID() {
			continue
		}
		if err := checkFederated(id, der); err != nil {
			s.cfg.Log.Warn("the authority's bundle of another trust domain is left out", "trustDomain", id, "error", err)
			continue
		}
		if roots == nil {
			roots = map[string][]byte{}
		}
		roots[id] = der
	}
	return s.replace(func(b *Bundles) { b.Roots = roots })
}

func checkFederated(id string, der []byte) error {
	td, err := spiffeid.TrustDomainFromString(id)
	if err != nil || td.IDString() != id {
		return fmt.Errorf("%q is not the SPIFFE ID of a trust domain", id)
	}
	roots, err := x509.ParseCertificates(der)
	if err != nil || len(roots) == 0 {
		return errors.New("there are no roots in it that can be read")
	}
	if i := slices.IndexFunc(roots, func(c *x509.Certificate) bool { return !c.IsCA }); i >= 0 {
		return fmt.Errorf("certificate %q is not an authority's", roots[i].Subject)
	}
	return nil
}

// followKeys keeps the keys of tokens as the authority has them, until ctx ends.
func (s *Source) followKeys(ctx context.Context, client workload.SpiffeWorkloadAPIClient) {
	for {
		err := s.followKeysOnce(ctx, client)
		if ctx.Err() != nil {
			return
		}
		pause := followPause
		if code := status.Code(err); code == codes.Unimplemented || code == codes.Unauthenticated {
			pause = quietPause
		}
		s.cfg.Log.Debug("the keys of tokens are not followed", "retryIn", pause, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

func (s *Source) followKeysOnce(ctx context.Context, client workload.SpiffeWorkloadAPIClient) error {
	stream, err := client.FetchJWTBundles(ctx, &workload.JWTBundlesRequest{})
	if err != nil {
		return err
	}
	for {
		reply, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := s.adoptKeys(reply.GetBundles()); err != nil {
			return err
		}
	}
}

// adoptKeys takes over the keys of tokens.
func (s *Source) adoptKeys(told map[string][]byte) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	if _, err := jwtBundles(told); err != nil {
		return err
	}
	return s.replace(func(b *Bundles) { b.Keys = told })
}

// jwtBundles reads JWK sets.
func jwtBundles(documents map[string][]byte) (*jwtbundle.Set, error) {
	out := jwtbundle.NewSet()
	for id, document := range documents {
		td, err := spiffeid.TrustDomainFromString(id)
		if err != nil || td.IDString() != id {
			return nil, fmt.Errorf("%q is not the SPIFFE ID of a trust domain", id)
		}
		b, err := jwtbundle.Parse(td, document)
		if err != nil {
			return nil, fmt.Errorf("keys of %q: %w", id, err)
		}
		out.Add(b)
	}
	return out, nil
}

// replace changes the bundles, on disk and here, and tells of it if they differ.
// keeping is held.
func (s *Source) replace(change func(*Bundles)) error {
	s.mu.Lock()
	next := s.bundles
	s.mu.Unlock()
	change(&next)
	if next.equal(&s.bundles) {
		return nil
	}
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := privatefile.Write(filepath.Join(s.cfg.Dir, othersFile), data); err != nil {
		return fmt.Errorf("keep the bundles: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bundles = next
	s.tell()
	return nil
}

func (b *Bundles) equal(o *Bundles) bool {
	return maps.EqualFunc(b.Roots, o.Roots, bytes.Equal) && maps.EqualFunc(b.Keys, o.Keys, bytes.Equal)
}

// keptBundles reads what replace wrote. What is damaged is as good as nothing: the
// authority tells of it again.
func keptBundles(cfg *Config, id *Identity) Bundles {
	data, err := privatefile.Read(filepath.Join(cfg.Dir, othersFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Bundles{}
	}
	var kept Bundles
	if err == nil {
		err = kept.read(data, id.TrustDomainID())
	}
	if err != nil {
		cfg.Log.Warn("the kept bundles are of no use", "dir", cfg.Dir, "error", err)
		return Bundles{}
	}
	return kept
}

func (b *Bundles) read(data []byte, own string) error {
	if err := json.Unmarshal(data, b); err != nil {
		return err
	}
	for td, der := range b.Roots {
		if td == own {
			return fmt.Errorf("there are roots of %q, the own trust domain", td)
		}
		if err := checkFederated(td, der); err != nil {
			return fmt.Errorf("roots of %q: %w", td, err)
		}
	}
	_, err := jwtBundles(b.Keys)
	return err
}
