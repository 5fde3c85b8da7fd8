package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/meshc/meshc/ca"
)

const (
	trustDomain = "bench.local"
	clientID    = "spiffe://bench.local/ns/bench/sa/client"
	serverID    = "spiffe://bench.local/ns/bench/sa/server"
)

// authority is a real one: meshc-proxy and the agent beside Envoy take their
// certificates from it, HAProxy and nginx get files with certificates from it.
type authority struct {
	*ca.Authority
	addr, root string
	stop       func()
}

func (b *bench) startAuthority() (*authority, error) {
	a, err := ca.Open(ca.Config{Dir: filepath.Join(b.dir, "ca"), TrustDomain: trustDomain, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	root, err := b.write("root.pem", string(a.BundlePEM()))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	srv := grpc.NewServer(a.ServerOptions()...)
	a.Register(srv)
	go func() { _ = srv.Serve(l) }()
	return &authority{Authority: a, addr: l.Addr().String(), root: root, stop: srv.Stop}, nil
}

// token writes a join token for id and gives the identity flags of a program
// that keeps its identity in a directory called name.
func (b *bench) identityFlags(a *authority, id, name string) ([]string, error) {
	token, err := a.CreateJoinToken(id, time.Hour)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, name+"-*")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return nil, err
	}
	return []string{"--ca-address", a.addr, "--ca-root", a.root, "--join-token-file", file,
		"--identity-dir", filepath.Join(dir, "identity")}, nil
}

// keyPair writes a certificate for id and its key into one file, as HAProxy
// wants them, and gives its path.
func (b *bench) keyPair(a *authority, id, name string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	chain, err := a.Issue(id, key.Public(), 0)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	var out []byte
	for _, c := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	out = append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	return b.write(name, string(out))
}

// startAgent runs `meshc-proxy agent`, from which Envoy takes its certificate.
func (b *bench) startAgent(ctx context.Context, a *authority, id, name string) (string, func(), error) {
	flags, err := b.identityFlags(a, id, name)
	if err != nil {
		return "", nil, err
	}
	meshc, err := filepath.Abs(b.paths.meshc)
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "s")
	if err != nil {
		return "", nil, err
	}
	socket := filepath.Join(dir, "agent.sock")
	_, stop, err := b.spawn(ctx, meshc, append([]string{"agent", "--socket", socket}, flags...)...)
	if err != nil {
		return "", nil, err
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			return socket, stop, nil
		}
		if time.Now().After(deadline) {
			stop()
			return "", nil, fmt.Errorf("the agent did not open %s", socket)
		}
	}
}
