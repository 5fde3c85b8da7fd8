package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
)

// TestAWorkloadCannotPassForTheAuthority: a server with a good certificate of
// the same root, but of a workload, gets neither the token nor any other byte.
func TestAWorkloadCannotPassForTheAuthority(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := srv.Issue("spiffe://mesh.example/ns/shop/sa/admin", key.Public(), 0)
	if err != nil {
		t.Fatal(err)
	}
	cert := tls.Certificate{PrivateKey: key}
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	var got atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n, _ := conn.Read(make([]byte, 1024)) // the handshake, then what the client says
			got.Add(int64(n))
			_ = conn.Close()
		}
	}()
	cfg := config(t, srv)
	cfg.CAAddress = l.Addr().String()
	cfg.TokenFile = srv.TokenFile(t, cart)
	failed := make(chan struct{}, 100)
	cfg.Log = slog.New(&signalHandler{text: "not renewed", c: failed})
	s, stop := run(t, cfg)
	await(t, failed)
	stop()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if got.Load() != 0 || s.Current() != nil {
		t.Errorf("the impostor got %d bytes, the client %v", got.Load(), s.Current())
	}
}
