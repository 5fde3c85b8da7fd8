package ca_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/api"
	"github.com/meshc/meshc/ca/attest"
	"github.com/meshc/meshc/ca/catest"
)

const (
	cart  = "spiffe://mesh.example/ns/shop/sa/cart"
	admin = "spiffe://mesh.example/ns/shop/sa/admin"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// asking is a request that names somebody else, which must not matter.
func asking(t testing.TB, key *ecdsa.PrivateKey) *api.IstioCertificateRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"admin.example"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &api.IstioCertificateRequest{Csr: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}
}

// client connects with cert, or without one.
func client(t testing.TB, srv *catest.Server, cert *tls.Certificate) api.IstioCertificateServiceClient {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(srv.BundlePEM())
	cfg := &tls.Config{InsecureSkipVerify: true} // the client's own checks are tested where the client is
	if cert != nil {
		cfg.Certificates = []tls.Certificate{*cert}
	}
	conn, err := grpc.NewClient("dns:///"+srv.Addr, grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return api.NewIstioCertificateServiceClient(conn)
}

func withToken(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

func mint(t testing.TB, srv *catest.Server, id string) string {
	t.Helper()
	token, err := srv.CreateJoinToken(id, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// certificate makes a tls.Certificate of a reply and checks who it is for.
func certificate(t testing.TB, srv *catest.Server, key *ecdsa.PrivateKey, resp *api.IstioCertificateResponse, want string) *tls.Certificate {
	t.Helper()
	texts := resp.GetCertChain()
	if len(texts) != 3 || texts[2] != string(srv.BundlePEM()) {
		t.Fatalf("reply has %d parts or another bundle", len(texts))
	}
	cert, err := tls.X509KeyPair([]byte(texts[0]+texts[1]), keyPEM(t, key))
	if err != nil {
		t.Fatal(err)
	}
	var chain []*x509.Certificate
	for _, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, c)
	}
	if id, err := srv.Verify(chain); err != nil || id != want {
		t.Fatalf("certificate for %q, %v; want %q", id, err, want)
	}
	return &cert
}

func keyPEM(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func join(t testing.TB, srv *catest.Server, id string) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	resp, err := client(t, srv, nil).CreateCertificate(withToken(t.Context(), mint(t, srv, id)), asking(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return certificate(t, srv, key, resp, id)
}

func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Fatalf("error %v, want %v", err, code)
	}
}

func TestTokenIsGoodForOneCertificateOfItsIdentity(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	token := mint(t, srv, cart)
	key := newKey(t)
	c := client(t, srv, nil)
	resp, err := c.CreateCertificate(withToken(t.Context(), token), asking(t, key))
	if err != nil {
		t.Fatal(err)
	}
	certificate(t, srv, key, resp, cart)
	_, err = c.CreateCertificate(withToken(t.Context(), token), asking(t, key))
	wantCode(t, err, codes.Unauthenticated)
}

func TestOneOfManyCallsWithATokenSucceeds(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	token := mint(t, srv, cart)
	c := client(t, srv, nil)
	var mu sync.Mutex
	won := 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := c.CreateCertificate(withToken(t.Context(), token), asking(t, newKey(t))); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d calls succeeded", won)
	}
}

func TestABadRequestDoesNotUseUpTheToken(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	token := mint(t, srv, cart)
	c := client(t, srv, nil)
	key := newKey(t)
	bad := map[string]func(*api.IstioCertificateRequest){
		"csr":               func(r *api.IstioCertificateRequest) { r.Csr = "x" },
		"large csr":         func(r *api.IstioCertificateRequest) { r.Csr = strings.Repeat("x", 20<<10) },
		"negative validity": func(r *api.IstioCertificateRequest) { r.ValidityDuration = -1 },
		"metadata": func(r *api.IstioCertificateRequest) {
			r.Metadata = &structpb.Struct{Fields: map[string]*structpb.Value{"ImpersonatedIdentity": structpb.NewStringValue(admin)}}
		},
	}
	for name, f := range bad {
		req := asking(t, key)
		f(req)
		_, err := c.CreateCertificate(withToken(t.Context(), token), req)
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	req := asking(t, key)
	req.ValidityDuration = 1 << 62
	req.Metadata = &structpb.Struct{Fields: map[string]*structpb.Value{"CertSigner": structpb.NewStringValue("")}}
	resp, err := c.CreateCertificate(withToken(t.Context(), token), req)
	if err != nil {
		t.Fatal(err)
	}
	certificate(t, srv, key, resp, cart)
}

func TestRenewalGivesTheSameIdentityOnly(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	own := join(t, srv, cart)
	c := client(t, srv, own)
	for range 3 {
		key := newKey(t)
		resp, err := c.CreateCertificate(t.Context(), asking(t, key))
		if err != nil {
			t.Fatal(err)
		}
		certificate(t, srv, key, resp, cart)
	}
	_, err := c.CreateCertificate(withToken(t.Context(), mint(t, srv, admin)), asking(t, newKey(t)))
	wantCode(t, err, codes.Unauthenticated) // certificate and token at once
}

func TestCallersWithoutIdentityAreRefused(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	other := catest.Run(t, ca.Config{})
	good := mint(t, srv, cart)
	header := func(values ...string) context.Context {
		ctx := t.Context()
		for _, v := range values {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", v)
		}
		return ctx
	}
	for name, ctx := range map[string]context.Context{
		"nothing":              t.Context(),
		"an empty token":       header("Bearer "),
		"another scheme":       header("Basic " + good),
		"two tokens":           header("Bearer "+good, "Bearer "+good),
		"a guess":              header("Bearer " + strings.Repeat("A", 43)),
		"part of a token":      header("Bearer " + good[:42]),
		"a path":               header("Bearer ../../../../../../../etc/passwd"),
		"another CA's token":   header("Bearer " + mint(t, other, cart)),
		"a token and a suffix": header("Bearer " + good + "A"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client(t, srv, nil).CreateCertificate(ctx, asking(t, newKey(t)))
			wantCode(t, err, codes.Unauthenticated)
		})
	}
	t.Run("a certificate of another CA", func(t *testing.T) {
		if _, err := client(t, srv, join(t, other, cart)).CreateCertificate(t.Context(), asking(t, newKey(t))); err == nil {
			t.Fatal("accepted")
		}
	})
}

func TestCertificateThatExpiresOnAnOpenConnectionIsRefused(t *testing.T) {
	c := &clock{at: time.Now()}
	srv := catest.Run(t, ca.Config{Now: c.now})
	conn := client(t, srv, join(t, srv, cart))
	if _, err := conn.CreateCertificate(t.Context(), asking(t, newKey(t))); err != nil {
		t.Fatal(err)
	}
	c.add(2 * time.Hour)
	_, err := conn.CreateCertificate(t.Context(), asking(t, newKey(t)))
	wantCode(t, err, codes.Unauthenticated)
}

func TestAnIdentityThatAsksTooOftenIsSlowedDownAlone(t *testing.T) {
	c := &clock{at: time.Now()}
	srv := catest.Run(t, ca.Config{Now: c.now, Rate: ca.Rate{PerSecond: 1, Burst: 3}})
	busy, quiet := client(t, srv, join(t, srv, cart)), client(t, srv, join(t, srv, admin))
	ask := func(cl api.IstioCertificateServiceClient) error {
		_, err := cl.CreateCertificate(t.Context(), asking(t, newKey(t)))
		return err
	}
	for range 2 { // joining took one
		if err := ask(busy); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, ask(busy), codes.ResourceExhausted)
	if err := ask(quiet); err != nil {
		t.Fatal(err)
	}
	c.add(time.Second)
	if err := ask(busy); err != nil {
		t.Fatal(err)
	}
	wantCode(t, ask(busy), codes.ResourceExhausted)
}

func TestEveryCertificateIsInTheAuditLog(t *testing.T) {
	var out lockedBuffer
	srv := catest.Run(t, ca.Config{Log: slog.New(slog.NewJSONHandler(&out, nil))})
	token, err := srv.CreateJoinToken(cart, time.Minute, attest.ForWorkload("shop/cart-v1-0"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, srv, nil).CreateCertificate(withToken(t.Context(), token), asking(t, newKey(t))); err != nil {
		t.Fatal(err)
	}
	var line struct{ Msg, SPIFFEID, Workload, Method, Serial string }
	if err := json.Unmarshal([]byte(strings.TrimSpace(out.String())), &line); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if line.Msg != "certificate issued" || line.SPIFFEID != cart || line.Workload != "shop/cart-v1-0" || line.Method != "join-token" || line.Serial == "" {
		t.Errorf("%+v", line)
	}
	if strings.Contains(out.String(), token) {
		t.Error("the token is in the log")
	}
}

func TestTokensMadeByAnotherProcessWork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	srv := catest.Run(t, ca.Config{Dir: dir})
	tokens, err := ca.OpenTokens(dir, catest.TrustDomain)
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokens.CreateJoinToken(cart, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	resp, err := client(t, srv, nil).CreateCertificate(withToken(t.Context(), token), asking(t, key))
	if err != nil {
		t.Fatal(err)
	}
	certificate(t, srv, key, resp, cart)
}

func TestServerTLSRefusesOldVersionsAndUnverifiedClients(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, NextProtos: []string{"h2"}}
	if c, err := tls.Dial("tcp", srv.Addr, old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 was accepted")
	}
	conn, err := net.Dial("tcp", srv.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 1)
	if n, err := conn.Read(buf); err == nil && buf[0] != 0x15 { // 0x15: a TLS alert
		t.Errorf("plaintext got %d bytes beginning %x", n, buf[0])
	}
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
