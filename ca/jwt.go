package ca

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/audit"
)

// JWTTTL is the longest lifetime of a JWT-SVID: one that was stolen cannot be
// called back.
const JWTTTL = 5 * time.Minute

// Limits of audiences, in number and bytes.
const (
	maxAudiences     = 16
	maxAudienceBytes = 1024
)

// IssueJWT makes a JWT-SVID (ES256) for the workload identity spiffeID. ttl 0 means
// JWTTTL, which is also the longest.
func (a *Authority) IssueJWT(spiffeID string, audience []string, ttl time.Duration) (string, error) {
	id, err := a.workload(spiffeID)
	if err != nil {
		return "", err
	}
	if ttl <= 0 || ttl > JWTTTL {
		ttl = JWTTTL
	}
	return a.issueJWT(asker{Caller: attest.Caller{ID: id, Method: "local"}}, audience, a.cfg.Now().Add(ttl))
}

// issueJWT makes a JWT-SVID that ends at a time, and after JWTTTL at the latest.
func (a *Authority) issueJWT(who asker, audience []string, until time.Time) (string, error) {
	id := who.ID
	if err := checkAudience(audience); err != nil {
		return "", fmt.Errorf("ca: JWT-SVID of %q: %w", id, err)
	}
	now := a.cfg.Now()
	if latest := now.Add(JWTTTL); until.After(latest) {
		until = latest
	}
	a.source.token(until) // before the key is chosen, which then stays trusted
	by, err := a.source.current(now)
	if err != nil {
		return "", fmt.Errorf("ca: %w", err)
	}
	if by.jwt == nil {
		return "", ErrNoJWTKey
	}
	token, err := signJWT(by, jwt.Claims{Subject: id.String(), Audience: audience, IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(until)})
	if err != nil {
		return "", fmt.Errorf("ca: JWT-SVID of %q: %w", id, err)
	}
	if err := a.checkJWT(token, id, audience); err != nil {
		return "", fmt.Errorf("ca: the new JWT-SVID of %q is wrong and was dropped: %w", id, err)
	}
	err = a.log.Write(audit.Record{
		Time: now.UTC(), Kind: "jwt-svid", SPIFFEID: id.String(), Workload: who.Workload, Method: string(who.Method), Peer: who.peer,
		Audience: audience, Issuer: by.jwtID, NotAfter: until.UTC(),
	})
	if err != nil {
		return "", fmt.Errorf("ca: JWT-SVID of %q: %w", id, err)
	}
	return token, nil
}

// ErrNoJWTKey is the answer of an authority whose issuer is mounted without a key for
// tokens.
var ErrNoJWTKey = errors.New("ca: the authority has no key for JWT-SVIDs")

func signJWT(by *issuing, claims jwt.Claims) (string, error) {
	key := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: cryptosigner.Opaque(by.jwt), KeyID: by.jwtID}}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// checkJWT reads a new token as its receiver does: by the keys of the bundle.
func (a *Authority) checkJWT(token string, id spiffeid.ID, audience []string) error {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	key, ok := a.roots.Content().Keys[parsed.Headers[0].KeyID]
	if !ok {
		return errors.New("its key is not in the trust bundle")
	}
	var claims jwt.Claims
	if err := parsed.Claims(key, &claims); err != nil {
		return err
	}
	if claims.Subject != id.String() || !slices.Equal(claims.Audience, audience) || claims.Expiry == nil {
		return errors.New("it says something else")
	}
	return nil
}

// checkAudience holds to JWT-SVID section 3.2: there is at least one.
func checkAudience(audience []string) error {
	if len(audience) == 0 || len(audience) > maxAudiences {
		return fmt.Errorf("%d audiences, want 1 to %d", len(audience), maxAudiences)
	}
	for _, a := range audience {
		if a == "" || len(a) > maxAudienceBytes {
			return fmt.Errorf("an audience of %d bytes, want 1 to %d", len(a), maxAudienceBytes)
		}
	}
	return nil
}
