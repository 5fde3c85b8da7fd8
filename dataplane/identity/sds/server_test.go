package sds

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"go.uber.org/goleak"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
	"github.com/meshc/meshc/dataplane/identity"
	"github.com/meshc/meshc/dataplane/identity/secretfile"
)

const cart = "spiffe://mesh.example/ns/shop/sa/cart"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agent is a running source with its SDS socket.
type agent struct {
	source  *identity.Source
	socket  string
	secrets string // directory
	files   *secretfile.Store
}

func startAgent(t *testing.T, srv *catest.Server, spiffeID, socket string) *agent {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	secrets := t.TempDir()
	source, err := identity.Open(identity.Config{
		CAAddress: srv.Addr, CARootFile: srv.RootFile, TokenFile: srv.TokenFile(t, spiffeID),
		Dir: filepath.Join(t.TempDir(), "id"), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	files, err := secretfile.Open(secrets, log)
	if err != nil {
		t.Fatal(err)
	}
	New(source, files, log).Register(g)
	ctx, cancel := context.WithCancel(context.Background())
	ran, served := make(chan struct{}), make(chan struct{})
	go func() { defer close(ran); source.Run(ctx) }()
	go func() { defer close(served); _ = g.Serve(l) }()
	t.Cleanup(func() {
		cancel()
		g.Stop()
		<-ran
		<-served
		_ = files.Close()
	})
	return &agent{source: source, socket: socket, secrets: secrets, files: files}
}

// socketDir is a directory with a path that a socket address has room for.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sds")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (a *agent) dial(t *testing.T) (secretv3.SecretDiscoveryServiceClient, context.Context) {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+a.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(func() { cancel(); _ = conn.Close() })
	return secretv3.NewSecretDiscoveryServiceClient(conn), ctx
}

func decode(t *testing.T, body *anypb.Any) *tlsv3.Secret {
	t.Helper()
	s := &tlsv3.Secret{}
	if err := body.UnmarshalTo(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func inlineOf(d *corev3.DataSource) []byte { return d.GetInlineBytes() }

func TestStateOfTheWorldPushesEachRenewal(t *testing.T) {
	t.Parallel()
	srv := catest.Run(t, ca.Config{TTL: 8 * time.Second}) // leaves seconds between a renewal that is due and the end
	a := startAgent(t, srv, cart, filepath.Join(socketDir(t), "agent.sock"))
	client, ctx := a.dial(t)
	stream, err := client.StreamSecrets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	req := &discoveryv3.DiscoveryRequest{TypeUrl: secretType, ResourceNames: []string{"default"}}
	var last string
	for n := range 3 {
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if resp.GetVersionInfo() == last || len(resp.GetResources()) != 1 {
			t.Fatalf("response %d: version %q after %q, %d resources", n, resp.GetVersionInfo(), last, len(resp.GetResources()))
		}
		last = resp.GetVersionInfo()
		c := decode(t, resp.GetResources()[0]).GetTlsCertificate()
		if _, err := tls.X509KeyPair(inlineOf(c.GetCertificateChain()), inlineOf(c.GetPrivateKey())); err != nil {
			t.Fatal(err)
		}
		req.VersionInfo, req.ResponseNonce = resp.GetVersionInfo(), resp.GetNonce()
	}
}

func TestStateOfTheWorldNames(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	a := startAgent(t, srv, cart, filepath.Join(socketDir(t), "agent.sock"))
	client, ctx := a.dial(t)
	ask := func(req *discoveryv3.DiscoveryRequest) (*discoveryv3.DiscoveryResponse, error) {
		stream, err := client.StreamSecrets(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
		return stream.Recv()
	}
	resp, err := ask(&discoveryv3.DiscoveryRequest{ResourceNames: []string{"ROOTCA", "default"}})
	if err != nil || len(resp.GetResources()) != 2 {
		t.Fatal(resp, err)
	}
	root := decode(t, resp.GetResources()[0])
	if root.GetName() != "ROOTCA" || !bytes.Equal(inlineOf(root.GetValidationContext().GetTrustedCa()), srv.BundlePEM()) {
		t.Errorf("%s is not the trust bundle", root.GetName())
	}
	_, err = ask(&discoveryv3.DiscoveryRequest{ResourceNames: []string{"default", "other"}})
	if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("unknown name: %v", err)
	}
	_, err = ask(&discoveryv3.DiscoveryRequest{TypeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster"})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("unknown type: %v", err)
	}
	if _, err := client.FetchSecrets(ctx, &discoveryv3.DiscoveryRequest{ResourceNames: []string{"default"}}); status.Code(err) != codes.Unimplemented {
		t.Errorf("fetch: %v", err)
	}
}

func TestStaleAndRefusedResponsesAreNotSentAgain(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	a := startAgent(t, srv, cart, filepath.Join(socketDir(t), "agent.sock"))
	if _, err := a.source.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	var sent []*discoveryv3.DiscoveryResponse
	st := &sotw{server: New(a.source, nil, slog.New(slog.DiscardHandler)), send: func(r *discoveryv3.DiscoveryResponse) error {
		sent = append(sent, r)
		return nil
	}}
	for i, c := range []struct {
		req  *discoveryv3.DiscoveryRequest
		want int // responses so far
	}{
		{&discoveryv3.DiscoveryRequest{ResourceNames: []string{"default"}}, 1},
		{&discoveryv3.DiscoveryRequest{ResourceNames: []string{"default"}, ResponseNonce: "1"}, 1},
		{&discoveryv3.DiscoveryRequest{ResourceNames: []string{"default"}, ResponseNonce: "1", ErrorDetail: &rpcstatus.Status{Message: "no"}}, 1},
		{&discoveryv3.DiscoveryRequest{ResourceNames: []string{"ROOTCA"}, ResponseNonce: "7"}, 1},
		{&discoveryv3.DiscoveryRequest{ResourceNames: []string{"default", "ROOTCA", "default"}, ResponseNonce: "1"}, 2},
		{&discoveryv3.DiscoveryRequest{ResponseNonce: "2"}, 2},
	} {
		if err := st.request(c.req); err != nil {
			t.Fatal(err)
		}
		if len(sent) != c.want {
			t.Fatalf("after request %d: %d responses, want %d", i, len(sent), c.want)
		}
	}
}

func TestDeltaSendsWhatIsMissingAndNamesWhatIsNot(t *testing.T) {
	t.Parallel()
	srv := catest.Run(t, ca.Config{TTL: 8 * time.Second})
	a := startAgent(t, srv, cart, filepath.Join(socketDir(t), "agent.sock"))
	client, ctx := a.dial(t)
	stream, err := client.DeltaSecrets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"default", "ROOTCA", "other"}}); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	absent := false
	for len(got) < 2 || !absent {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range resp.GetResources() {
			got[r.GetName()] = r.GetVersion()
		}
		absent = absent || len(resp.GetRemovedResources()) == 1 && resp.GetRemovedResources()[0] == "other"
	}
	resp, err := stream.Recv() // the renewal: the certificate alone
	if err != nil || len(resp.GetResources()) != 1 || resp.GetResources()[0].GetName() != "default" || resp.GetResources()[0].GetVersion() == got["default"] {
		t.Fatalf("renewal: %v, %v", resp, err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{ResourceNamesUnsubscribe: []string{"default"}}); err != nil {
		t.Fatal(err)
	}
	again, err := client.DeltaSecrets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Send(&discoveryv3.DeltaDiscoveryRequest{
		ResourceNamesSubscribe: []string{"ROOTCA", "default"}, InitialResourceVersions: map[string]string{"ROOTCA": got["ROOTCA"]},
	}); err != nil {
		t.Fatal(err)
	}
	resp, err = again.Recv()
	if err != nil || len(resp.GetResources()) != 1 || resp.GetResources()[0].GetName() != "default" {
		t.Fatalf("after a reconnect: %v, %v", resp, err)
	}
}

func TestSocketIsPrivateAndReplacedOnlyWhenDead(t *testing.T) {
	dir := socketDir(t)
	path := filepath.Join(dir, "agent.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a socket in use was taken: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l, err = Listen(path)
	if err != nil {
		t.Fatalf("a dead socket was not replaced: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil {
		t.Error("a file was replaced by a socket")
	}
	if _, err := Listen(filepath.Join(dir, "no", "dir")); err == nil {
		t.Error("a socket in a missing directory")
	}
}
