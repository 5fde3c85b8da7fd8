// Package catest runs a certificate authority inside a test: a real Authority
// behind a real gRPC listener on loopback.
package catest

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/meshc/meshc/ca"
)

// TrustDomain of authorities started without one.
const TrustDomain = "mesh.example"

// Server is a running authority.
type Server struct {
	*ca.Authority
	Addr     string // "127.0.0.1:port"; stays the same over Stop and Start
	RootFile string // its root, as PEM

	grpc *grpc.Server
	done chan error
}

// Run starts an authority that ends with the test. An empty Dir means a
// temporary one.
func Run(t testing.TB, cfg ca.Config) *Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "ca")
	}
	if cfg.TrustDomain == "" {
		cfg.TrustDomain = TrustDomain
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a, err := ca.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Authority: a, Addr: "127.0.0.1:0", RootFile: filepath.Join(t.TempDir(), "root.pem")}
	if err := os.WriteFile(s.RootFile, a.BundlePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
	t.Cleanup(s.Stop)
	return s
}

// Start listens on Addr.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = l.Addr().String()
	s.grpc = grpc.NewServer(s.ServerOptions()...)
	s.Register(s.grpc)
	s.done = make(chan error, 1)
	go func() { s.done <- s.grpc.Serve(l) }()
}

// Stop closes the listener and every connection.
func (s *Server) Stop() {
	if s.grpc == nil {
		return
	}
	s.grpc.Stop()
	<-s.done
	s.grpc = nil
}

// TokenFile makes a join token for spiffeID and returns a file that holds it.
func (s *Server) TokenFile(t testing.TB, spiffeID string) string {
	t.Helper()
	token, err := s.CreateJoinToken(spiffeID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
