package ca_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/audit"
	"github.com/meshc/meshc/ca/catest"
)

var meshDomain = spiffeid.RequireTrustDomainFromString(catest.TrustDomain)

// delivery connects to what gives tokens and bundles, with cert or without one.
func delivery(t *testing.T, srv *catest.Server, cert *tls.Certificate) workload.SpiffeWorkloadAPIClient {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true} // the client's own checks are tested where the client is
	if cert != nil {
		cfg.Certificates = []tls.Certificate{*cert}
	}
	conn, err := grpc.NewClient("dns:///"+srv.Addr, grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return workload.NewSpiffeWorkloadAPIClient(conn)
}

// certificateOf is one of id that ends after ttl.
func certificateOf(t *testing.T, a *ca.Authority, id string, ttl time.Duration) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	chain, err := a.Issue(id, key.Public(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return asTLS(chain, key)
}

func asTLS(chain []*x509.Certificate, key any) *tls.Certificate {
	out := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out
}

// jwtBundle is the keys of tokens as the service tells of them.
func jwtBundle(t *testing.T, client workload.SpiffeWorkloadAPIClient) (*jwtbundle.Bundle, []byte) {
	t.Helper()
	stream, err := client.FetchJWTBundles(t.Context(), &workload.JWTBundlesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	document := reply.GetBundles()[meshDomain.IDString()]
	b, err := jwtbundle.Parse(meshDomain, document)
	if err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	return b, document
}

func records(t *testing.T, path string) (out []audit.Record) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r audit.Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// Issue 7: a JWT-SVID is of the identity that asks for it by its certificate, no longer
// good than that, and written down.
func TestJWTSVIDIsOfWhoeverAsks(t *testing.T) {
	dir := t.TempDir()
	srv := catest.Run(t, ca.Config{AuditFile: filepath.Join(dir, "audit.jsonl")})
	own := certificateOf(t, srv.Authority, cart, 2*time.Minute)
	client := delivery(t, srv, own)
	reply, err := client.FetchJWTSVID(t.Context(), &workload.JWTSVIDRequest{Audience: []string{"billing", "audit"}})
	if err != nil {
		t.Fatal(err)
	}
	bundle, document := jwtBundle(t, client)
	if whole, err := spiffebundle.Parse(meshDomain, document); err != nil {
		t.Error(err)
	} else if n, ok := whole.SequenceNumber(); !ok || n != srv.Bundle().Sequence {
		t.Errorf("the keys have sequence number %d, %v", n, ok)
	}
	svid, err := jwtsvid.ParseAndValidate(reply.GetSvids()[0].GetSvid(), bundle, []string{"audit"})
	if err != nil || svid.ID.String() != cart || reply.GetSvids()[0].GetSpiffeId() != cart {
		t.Fatalf("%v, %v", svid, err)
	}
	if svid.Expiry.After(own.Leaf.NotAfter) {
		t.Errorf("the token ends at %s, the certificate at %s", svid.Expiry, own.Leaf.NotAfter)
	}
	all := records(t, filepath.Join(dir, "audit.jsonl"))
	last := all[len(all)-1]
	if last.Kind != "jwt-svid" || last.SPIFFEID != cart || last.Method != "x509-svid" || last.Peer == "" || !slices.Equal(last.Audience, []string{"billing", "audit"}) {
		t.Errorf("the audit log says %+v", last)
	}
}

func TestJWTSVIDIsRefusedToCallers(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	own := certificateOf(t, srv.Authority, cart, 0)
	controller, err := srv.ControllerCertificate()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cert  *tls.Certificate
		token string
		req   *workload.JWTSVIDRequest
		want  codes.Code
	}{
		"nobody":                {nil, "", &workload.JWTSVIDRequest{Audience: []string{"x"}}, codes.Unauthenticated},
		"a join token":          {nil, mint(t, srv, cart), &workload.JWTSVIDRequest{Audience: []string{"x"}}, codes.Unauthenticated},
		"both":                  {own, mint(t, srv, admin), &workload.JWTSVIDRequest{Audience: []string{"x"}}, codes.Unauthenticated},
		"of the control plane":  {controller, "", &workload.JWTSVIDRequest{Audience: []string{"x"}}, codes.PermissionDenied},
		"somebody else's":       {own, "", &workload.JWTSVIDRequest{Audience: []string{"x"}, SpiffeId: admin}, codes.PermissionDenied},
		"without audience":      {own, "", &workload.JWTSVIDRequest{}, codes.InvalidArgument},
		"of an empty audience":  {own, "", &workload.JWTSVIDRequest{Audience: []string{""}}, codes.InvalidArgument},
		"of a long audience":    {own, "", &workload.JWTSVIDRequest{Audience: []string{strings.Repeat("x", 1025)}}, codes.InvalidArgument},
		"of too many audiences": {own, "", &workload.JWTSVIDRequest{Audience: slices.Repeat([]string{"x"}, 17)}, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if c.token != "" {
				ctx = withToken(ctx, c.token)
			}
			if _, err := delivery(t, srv, c.cert).FetchJWTSVID(ctx, c.req); status.Code(err) != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// Tokens are limited per identity, and leave an identity's certificates alone.
func TestJWTSVIDsAreLimited(t *testing.T) {
	at := time.Now()
	srv := catest.Run(t, ca.Config{Now: func() time.Time { return at }, Rate: ca.Rate{PerSecond: 1, Burst: 3}})
	own := certificateOf(t, srv.Authority, cart, 0)
	tokens := delivery(t, srv, own)
	for i := range 4 {
		_, err := tokens.FetchJWTSVID(t.Context(), &workload.JWTSVIDRequest{Audience: []string{"x"}})
		if want := i == 3; (status.Code(err) == codes.ResourceExhausted) != want || !want && err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	key := newKey(t)
	if _, err := client(t, srv, own).CreateCertificate(t.Context(), asking(t, key)); err != nil {
		t.Errorf("tokens have used up the certificates: %v", err)
	}
	if _, err := delivery(t, srv, certificateOf(t, srv.Authority, admin, 0)).FetchJWTSVID(t.Context(), &workload.JWTSVIDRequest{Audience: []string{"x"}}); err != nil {
		t.Errorf("another identity: %v", err)
	}
}

// The keys of tokens follow a rotation, and what the key before has signed stays good
// until it ends.
func TestJWTBundleFollowsARotation(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	client := delivery(t, srv, certificateOf(t, srv.Authority, cart, 0))
	stream, err := client.FetchJWTBundles(t.Context(), &workload.JWTBundlesRequest{}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	token, err := srv.IssueJWT(cart, []string{"x"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Rotate("root"); err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	next, err := jwtbundle.Parse(meshDomain, reply.GetBundles()[meshDomain.IDString()])
	if err != nil || len(next.JWTAuthorities()) != 2 {
		t.Fatalf("%d keys, %v", len(next.JWTAuthorities()), err)
	}
	if _, err := jwtsvid.ParseAndValidate(token, next, []string{"x"}); err != nil {
		t.Error(err)
	}
}
