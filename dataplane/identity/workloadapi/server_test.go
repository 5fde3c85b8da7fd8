package workloadapi_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	spiffe "github.com/spiffe/go-spiffe/v2/workloadapi"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
	"github.com/meshc/meshc/dataplane/admin"
	"github.com/meshc/meshc/dataplane/identity"
	"github.com/meshc/meshc/dataplane/identity/workloadapi"
)

const (
	cart = "spiffe://mesh.example/ns/shop/sa/cart"
	web  = "spiffe://mesh.example/ns/shop/sa/web"

	patience = time.Minute
)

var mesh = spiffeid.RequireTrustDomainFromString(catest.TrustDomain)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sidecar is what stands beside an application: a source of its identity, and the
// socket that it is served on.
type sidecar struct {
	source *identity.Source
	config identity.Config
	addr   spiffe.ClientOption
	target string
	stop   func()
}

// beside starts the sidecar of id.
func beside(t *testing.T, srv *catest.Server, id string) *sidecar {
	t.Helper()
	return startSidecar(t, identity.Config{
		CAAddress: srv.Addr, CARootFile: srv.RootFile, TokenFile: srv.TokenFile(t, id), Dir: filepath.Join(t.TempDir(), "id"),
		Log: slog.New(slog.DiscardHandler),
	})
}

func startSidecar(t *testing.T, cfg identity.Config) *sidecar {
	t.Helper()
	source, err := identity.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "wl") // short: a socket address holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	l, err := admin.ListenUnix(filepath.Join(dir, "s"), 0o660)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- workloadapi.Serve(ctx, l, source, cfg.Log) }()
	ran := make(chan struct{})
	go func() { defer close(ran); source.Run(ctx) }()
	stopped := false
	s := &sidecar{source: source, config: cfg, target: "unix://" + filepath.Join(dir, "s")}
	s.addr = spiffe.WithAddr(s.target)
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-ran
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	}
	t.Cleanup(s.stop)
	return s
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// x509 is go-spiffe's source of what the sidecar serves.
func (s *sidecar) x509(t *testing.T) *spiffe.X509Source {
	t.Helper()
	source, err := spiffe.NewX509Source(soon(t), spiffe.WithClientOptions(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	return source
}

// jwt is go-spiffe's source of tokens and their keys.
func (s *sidecar) jwt(t *testing.T) *spiffe.JWTSource {
	t.Helper()
	source, err := spiffe.NewJWTSource(soon(t), spiffe.WithClientOptions(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	return source
}

// Issue 7: applications of go-spiffe get certificates from their sidecars, and talk to
// each other by them, before and after renewals and a new root.
func TestApplicationsTalkByWhatTheirSidecarsServe(t *testing.T) {
	srv := catest.Run(t, ca.Config{TTL: 6 * time.Second})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); srv.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ran })
	server, client := beside(t, srv, cart).x509(t), beside(t, srv, web).x509(t)
	at := serve(t, server, tlsconfig.AuthorizeID(spiffeid.RequireFromString(web)))
	if who, err := call(t, client, at, cart); err != nil || who != web {
		t.Fatalf("%q, %v", who, err)
	}
	if _, err := call(t, client, at, web); err == nil {
		t.Error("a server with another name was believed")
	}
	first, err := client.GetX509SVID()
	if err != nil || first.ID.String() != web {
		t.Fatalf("%v, %v", first, err)
	}
	before := srv.Bundle().Roots[0]
	if err := srv.Rotate("root"); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		if who, err := call(t, client, at, cart); err != nil || who != web {
			t.Fatalf("call %d after the root was replaced: %q, %v", i, who, err)
		}
		svid, err := client.GetX509SVID()
		if err != nil {
			t.Fatal(err)
		}
		roots, err := client.GetX509BundleForTrustDomain(mesh)
		if err != nil {
			t.Fatal(err)
		}
		renewed := svid.Certificates[0].SerialNumber.Cmp(first.Certificates[0].SerialNumber) != 0
		if renewed && len(roots.X509Authorities()) == 1 && !roots.HasX509Authority(before) {
			return
		}
		select {
		case <-client.Updated():
		case <-soon(t).Done():
			t.Fatal("the new root did not come alone")
		}
	}
}

// serve answers with the SPIFFE ID of the caller.
func serve(t *testing.T, source *spiffe.X509Source, let tlsconfig.Authorizer) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", tlsconfig.MTLSServerConfig(source, source, let))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(w, r.TLS.PeerCertificates[0].URIs[0])
		}),
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return l.Addr().String()
}

// call asks the server at an address, which has to be want, by a new connection.
func call(t *testing.T, source *spiffe.X509Source, at, want string) (string, error) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(spiffeid.RequireFromString(want)))}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + at)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// Issue 7: a token goes from one application to another, each with nothing but its
// sidecar; another audience, and a token that nobody has signed, are refused.
func TestTokensGoFromApplicationToApplication(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	from, to := beside(t, srv, web), beside(t, srv, cart)
	tokens, keys := from.jwt(t), to.jwt(t)
	svid, err := tokens.FetchJWTSVID(soon(t), jwtsvid.Params{Audience: "cart", ExtraAudiences: []string{"audit"}})
	if err != nil || svid.ID.String() != web {
		t.Fatalf("%v, %v", svid, err)
	}
	if _, err := jwtsvid.ParseAndValidate(svid.Marshal(), keys, []string{"cart"}); err != nil {
		t.Error(err)
	}
	if _, err := spiffe.ValidateJWTSVID(soon(t), svid.Marshal(), "audit", to.addr); err != nil {
		t.Error(err)
	}
	if _, err := spiffe.ValidateJWTSVID(soon(t), svid.Marshal(), "other", to.addr); status.Code(err) != codes.InvalidArgument {
		t.Errorf("for another audience: %v", err)
	}
	forged := svid.Marshal()[:strings.LastIndexByte(svid.Marshal(), '.')+1] + strings.Repeat("A", 86)
	if _, err := spiffe.ValidateJWTSVID(soon(t), forged, "cart", to.addr); status.Code(err) != codes.InvalidArgument {
		t.Errorf("with another signature: %v", err)
	}
	again, err := tokens.FetchJWTSVID(soon(t), jwtsvid.Params{Audience: "cart", ExtraAudiences: []string{"audit"}})
	if err != nil || again.Marshal() != svid.Marshal() {
		t.Errorf("the same token was not given again: %v", err)
	}
	if _, err := tokens.FetchJWTSVID(soon(t), jwtsvid.Params{Audience: "cart", Subject: spiffeid.RequireFromString(cart)}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a token of somebody else: %v", err)
	}
}

// Without the authority, and after a restart, what there is goes on: certificates,
// bundles and the verification of tokens.
func TestServesWithoutTheAuthority(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	s := beside(t, srv, cart)
	s.jwt(t)
	token, err := srv.IssueJWT(web, []string{"cart"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	srv.Stop()
	s.config.TokenFile = ""
	s = startSidecar(t, s.config)
	if svid, err := s.x509(t).GetX509SVID(); err != nil || svid.ID.String() != cart {
		t.Errorf("%v, %v", svid, err)
	}
	if _, err := spiffe.ValidateJWTSVID(soon(t), token, "cart", s.addr); err != nil {
		t.Error(err)
	}
	if _, err := spiffe.FetchJWTSVID(soon(t), jwtsvid.Params{Audience: "cart"}, s.addr); status.Code(err) != codes.Unavailable {
		t.Errorf("a token without the authority: %v", err)
	}
}

// SPIFFE Workload Endpoint, section 3: without the header nothing is given.
func TestEveryMethodNeedsTheHeader(t *testing.T) {
	s := beside(t, catest.Run(t, ca.Config{}), cart)
	s.x509(t)
	client := raw(t, s)
	for name, md := range map[string]metadata.MD{
		"none": {}, "another value": metadata.Pairs("workload.spiffe.io", "false"), "twice": metadata.Pairs("workload.spiffe.io", "true", "workload.spiffe.io", "true"),
	} {
		ctx := metadata.NewOutgoingContext(soon(t), md)
		got := map[string]error{}
		if stream, err := client.FetchX509SVID(ctx, &workload.X509SVIDRequest{}); err == nil {
			_, got["FetchX509SVID"] = stream.Recv()
		}
		if stream, err := client.FetchX509Bundles(ctx, &workload.X509BundlesRequest{}); err == nil {
			_, got["FetchX509Bundles"] = stream.Recv()
		}
		if stream, err := client.FetchJWTBundles(ctx, &workload.JWTBundlesRequest{}); err == nil {
			_, got["FetchJWTBundles"] = stream.Recv()
		}
		_, got["FetchJWTSVID"] = client.FetchJWTSVID(ctx, &workload.JWTSVIDRequest{Audience: []string{"x"}})
		_, got["ValidateJWTSVID"] = client.ValidateJWTSVID(ctx, &workload.ValidateJWTSVIDRequest{Audience: "x", Svid: "y"})
		if len(got) != 5 {
			t.Errorf("header %s: only %v", name, got)
		}
		for method, err := range got {
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "workload.spiffe.io") {
				t.Errorf("header %s: %s: %v", name, method, err)
			}
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	s := beside(t, catest.Run(t, ca.Config{}), cart)
	s.jwt(t)
	client := raw(t, s)
	ctx := metadata.AppendToOutgoingContext(soon(t), "workload.spiffe.io", "true")
	for name, req := range map[string]*workload.JWTSVIDRequest{
		"no audience": {}, "an empty audience": {Audience: []string{""}},
	} {
		if _, err := client.FetchJWTSVID(ctx, req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("token for %s: %v", name, err)
		}
	}
	for name, req := range map[string]*workload.ValidateJWTSVIDRequest{
		"nothing": {}, "no audience": {Svid: "x"}, "no token": {Audience: "x"}, "what is no token": {Audience: "x", Svid: "a.b.c"},
	} {
		if _, err := client.ValidateJWTSVID(ctx, req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A certificate that ends while the authority is away is given to nobody any more.
func TestAnEndedCertificateIsNotServed(t *testing.T) {
	srv := catest.Run(t, ca.Config{TTL: 2 * time.Second})
	s := beside(t, srv, cart)
	if _, err := s.source.Wait(soon(t)); err != nil {
		t.Fatal(err)
	}
	stream, err := raw(t, s).FetchX509SVID(metadata.AppendToOutgoingContext(soon(t), "workload.spiffe.io", "true"), &workload.X509SVIDRequest{}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	for first := true; ; first = false {
		_, err := stream.Recv()
		if first {
			srv.Stop()
		}
		if err != nil {
			if status.Code(err) != codes.Unavailable {
				t.Error(err)
			}
			return
		}
	}
}

func TestSocketIsForThoseItsModeSays(t *testing.T) {
	s := beside(t, catest.Run(t, ca.Config{}), cart)
	info, err := os.Lstat(strings.TrimPrefix(s.target, "unix://"))
	if err != nil || info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("%v, %v", info, err)
	}
	s.stop()
	if c, err := net.Dial("unix", strings.TrimPrefix(s.target, "unix://")); err == nil {
		_ = c.Close()
		t.Error("it is served after its end")
	}
}

func raw(t *testing.T, s *sidecar) workload.SpiffeWorkloadAPIClient {
	t.Helper()
	conn, err := grpc.NewClient(s.target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return workload.NewSpiffeWorkloadAPIClient(conn)
}
