package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/meshc/meshc/dataplane/admin"
	"github.com/meshc/meshc/dataplane/identity"
	"github.com/meshc/meshc/dataplane/identity/sds"
	"github.com/meshc/meshc/dataplane/identity/secretfile"
	"github.com/meshc/meshc/dataplane/identity/workloadapi"
)

// agentFlags are the flags of `meshc-proxy agent`.
type agentFlags struct {
	identity identity.Config
	socket   string
	secrets  string
	workload workloadFlags
	health   healthFlags
	admin    string
}

// newAgentCmd is `meshc-proxy agent`: it makes the workload's key beside a
// stock Envoy, keeps its certificate fresh and serves both on a unix socket.
func newAgentCmd() *cobra.Command {
	var f agentFlags
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "make this workload's key, keep its certificate fresh and serve both to the Envoy beside it",
		Long: `agent makes a private key, has the mesh's authority sign its certificate and
renews it in time. It serves the SDS secrets "default" (key and chain) and
"ROOTCA" (trust bundle) on a unix socket that only its own user can open, and
with --secrets-dir the certificates that the mesh names. With
--workload-api-socket it serves the SPIFFE Workload API to the application.

The join token is needed once: the identity directory keeps key, certificate
and bundle for the next start. A token of the platform (--token-file) is shown
for each certificate.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			f.identity.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			kubelet, at, err := f.health.listen(f.admin, f.identity.Log)
			if err != nil {
				return err
			}
			return beside(ctx, kubelet, at, func(ctx context.Context) error { return runAgent(ctx, f) })
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.identity.CAAddress, "ca-address", "", "host:port of the authority")
	fl.StringVar(&f.identity.CARootFile, "ca-root", "", "file with the authority's root certificate (PEM)")
	fl.StringVar(&f.identity.TokenFile, "join-token-file", "", "file with a one-time join token, mode 0600")
	fl.StringVar(&f.identity.AccountTokenFile, "token-file", "", "file with a token that the platform keeps fresh, such as one of a Kubernetes service account for the audience meshc-ca; read for each certificate, in place of a join token")
	fl.StringVar(&f.identity.SPIFFEID, "spiffe-id", "", "identity to insist on (default: what the token says)")
	fl.StringVar(&f.identity.Dir, "identity-dir", "", "directory that keeps key, certificate and bundle, mode 0700")
	fl.DurationVar(&f.identity.TTL, "ttl", 0, "lifetime to ask for (default: the authority's)")
	fl.StringVar(&f.secrets, "secrets-dir", "", "directory of the certificates that the mesh names, to be served as well")
	fl.StringVar(&f.socket, "socket", "", "unix socket to serve SDS on, made with mode 0600")
	fl.StringVar(&f.admin, "envoy-admin-socket", "", "with --health-address: unix socket of Envoy's admin endpoint")
	f.workload.register(cmd)
	f.health.register(cmd)
	for _, name := range []string{"ca-address", "ca-root", "identity-dir", "socket"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the name is not one of the flags above
		}
	}
	return cmd
}

// openSecrets gives nil without a directory.
func openSecrets(f agentFlags) (*secretfile.Store, error) {
	if f.secrets == "" {
		return nil, nil
	}
	return secretfile.Open(f.secrets, f.identity.Log)
}

// runAgent serves until ctx ends.
func runAgent(ctx context.Context, f agentFlags) error {
	source, err := identity.Open(f.identity)
	if err != nil {
		return err
	}
	files, err := openSecrets(f)
	if err != nil {
		return err
	}
	mode, err := f.workload.check(true)
	if err != nil {
		return err
	}
	l, err := sds.Listen(f.socket)
	if err != nil {
		return err
	}
	var api net.Listener
	if f.workload.socket != "" {
		if api, err = admin.ListenUnix(f.workload.socket, mode); err != nil {
			return errors.Join(fmt.Errorf("--workload-api-socket: %w", err), l.Close())
		}
	}
	srv := grpc.NewServer(
		grpc.MaxRecvMsgSize(64<<10),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	sds.New(source, files, f.identity.Log).Register(srv)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var fresh sync.WaitGroup
	fresh.Go(func() { source.Run(ctx) })
	if files != nil {
		fresh.Go(func() { files.Run(ctx) })
	}
	failed := make(chan error, 2)
	fresh.Go(func() {
		if err := srv.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			failed <- fmt.Errorf("serve SDS on %s: %w", f.socket, err)
		}
	})
	if api != nil {
		fresh.Go(func() {
			if err := workloadapi.Serve(ctx, api, source, f.identity.Log); err != nil {
				failed <- fmt.Errorf("serve the Workload API on %s: %w", f.workload.socket, err)
			}
		})
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	srv.Stop()
	cancel()
	fresh.Wait()
	return err
}
