package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
)

func TestAgentServesSecretsUntilItIsStopped(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	dir, err := os.MkdirTemp("", "agent") // short: a socket address holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "agent.sock")
	args := []string{"--ca-address", srv.Addr, "--ca-root", srv.RootFile, "--identity-dir", filepath.Join(dir, "id"), "--socket", socket}

	first := serveOnce(t, append(args, "--join-token-file", srv.TokenFile(t, "spiffe://mesh.example/ns/shop/sa/cart")), socket)
	srv.Stop()
	if again := serveOnce(t, args, socket); again != first { // no token, no authority
		t.Error("another identity after a restart")
	}
}

// serveOnce runs the command until it has served the secret "default", and
// returns its version.
func serveOnce(t *testing.T, args []string, socket string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var log bytes.Buffer
	cmd := newAgentCmd()
	cmd.SetArgs(args)
	cmd.SetErr(&log)
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()

	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := secretv3.NewSecretDiscoveryServiceClient(conn).StreamSecrets(ctx, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DiscoveryRequest{ResourceNames: []string{"default"}}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket was left behind")
	}
	return resp.GetVersionInfo()
}

// Issue 7: the agent beside stock Envoy gives the application its identity too.
func TestAgentServesTheWorkloadAPI(t *testing.T) {
	srv := catest.Run(t, ca.Config{})
	dir, err := os.MkdirTemp("", "agent") // short: a socket address holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var log bytes.Buffer
	cmd := newAgentCmd()
	cmd.SetArgs([]string{"--ca-address", srv.Addr, "--ca-root", srv.RootFile, "--identity-dir", filepath.Join(dir, "id"), "--socket", filepath.Join(dir, "sds"),
		"--join-token-file", srv.TokenFile(t, "spiffe://mesh.example/ns/shop/sa/cart"), "--workload-api-socket", filepath.Join(dir, "api"), "--workload-api-mode=0660"})
	cmd.SetErr(&log)
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(workloadapi.WithAddr("unix://"+filepath.Join(dir, "api"))))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if svid, err := source.GetX509SVID(); err != nil || svid.ID.Path() != "/ns/shop/sa/cart" {
		t.Errorf("%v, %v", svid, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if _, err := os.Lstat(filepath.Join(dir, "api")); err == nil {
		t.Error("the socket was left behind")
	}
}

func TestAgentRefusesToStart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	complete := func(name, value string) []string {
		flags := map[string]string{
			"ca-address": "127.0.0.1:1", "ca-root": file, "identity-dir": filepath.Join(dir, "id"), "socket": filepath.Join(dir, "s"),
		}
		flags[name] = value
		var args []string
		for n, v := range flags {
			if v != "" {
				args = append(args, "--"+n, v)
			}
		}
		return args
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"without address":          {complete("ca-address", ""), "ca-address"},
		"without root":             {complete("ca-root", ""), "ca-root"},
		"without directory":        {complete("identity-dir", ""), "identity-dir"},
		"without socket":           {complete("socket", ""), "socket"},
		"with an address and path": {complete("ca-address", "https://x/y"), "address"},
		"with a file as socket":    {complete("socket", file), "not a socket"},
		"with a file as directory": {complete("identity-dir", file), "not a directory"},
		"with a bad SPIFFE ID":     {complete("spiffe-id", "cart"), "SPIFFE ID"},
		"with a bad mode":          {append(complete("ca-root", file), "--workload-api-socket", filepath.Join(dir, "w"), "--workload-api-mode=0777"), "0600, 0660 or 0666"},
		"with a mode for nothing":  {append(complete("ca-root", file), "--workload-api-mode=0660"), "--workload-api-socket"},
		"with a file as API":       {append(complete("ca-root", file), "--workload-api-socket", file), "not a socket"},
		"with an argument":         {append(complete("ca-root", file), "x"), "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := newAgentCmd()
			cmd.SetArgs(c.args)
			cmd.SetErr(&bytes.Buffer{})
			cmd.SetOut(&bytes.Buffer{})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := cmd.ExecuteContext(ctx)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
