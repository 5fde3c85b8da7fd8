package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/dataplane"
	"github.com/meshc/meshc/dataplane/bootstrap"
	"github.com/meshc/meshc/dataplane/identity"
)

// proxyFlags are the flags of meshc-proxy itself.
type proxyFlags struct {
	bootstrap string
	inline    string
	health    healthFlags
	identity  identity.Config
	lastGood  string
	secrets   string
	admin     string
	workload  workloadFlags
	restart   string
	workers   int
	drain     time.Duration
	logLevel  string
}

func (f *proxyFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.bootstrap, "config", "c", "", "Envoy v3 bootstrap file, YAML or JSON")
	fl.StringVar(&f.inline, "config-yaml", "", "Envoy v3 bootstrap itself, YAML or JSON, in place of a file")
	fl.StringVar(&f.identity.Dir, "identity-dir", "", "directory that keeps key, certificate and bundle, mode 0700")
	fl.StringVar(&f.identity.CAAddress, "ca-address", "", "host:port of the authority")
	fl.StringVar(&f.identity.CARootFile, "ca-root", "", "file with the authority's root certificate (PEM)")
	fl.StringVar(&f.identity.TokenFile, "join-token-file", "", "file with a one-time join token, mode 0600")
	fl.StringVar(&f.identity.AccountTokenFile, "token-file", "", "file with a token that the platform keeps fresh, such as one of a Kubernetes service account for the audience meshc-ca; read for each certificate, in place of a join token")
	fl.StringVar(&f.identity.SPIFFEID, "spiffe-id", "", "identity to insist on (default: what the token says)")
	fl.StringVar(&f.secrets, "secrets-dir", "", "directory of the certificates that the mesh names")
	fl.StringVar(&f.lastGood, "last-good", "", "directory that keeps the last good configuration, mode 0700")
	fl.StringVar(&f.admin, "admin-socket", "", "unix socket of the admin endpoint where the bootstrap names none (default: admin.sock in the last-good or identity directory)")
	fl.StringVar(&f.restart, "hot-restart-socket", "", "unix socket over which the next process of this proxy takes the listening sockets of this one")
	fl.IntVar(&f.workers, "workers", 0, "event loops (default: one per CPU)")
	fl.DurationVar(&f.drain, "drain-timeout", 30*time.Second, "how long open requests may take after SIGTERM")
	fl.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	f.workload.register(cmd)
	f.health.register(cmd)
	cmd.MarkFlagsOneRequired("config", "config-yaml")
	cmd.MarkFlagsMutuallyExclusive("config", "config-yaml")
}

// serve runs the proxy until ctx ends.
func serve(ctx context.Context, f proxyFlags, stderr io.Writer) error {
	log, err := newLogger(f.logLevel, stderr)
	if err != nil {
		return err
	}
	if f.workers < 0 || f.drain <= 0 {
		return errors.New("--workers must not be negative and --drain-timeout must be above 0")
	}
	b, err := f.load()
	if err != nil {
		return err
	}
	tune(f.workers)
	opts := dataplane.Options{
		Bootstrap:    b,
		Workers:      f.workers,
		LastGood:     f.lastGood,
		Secrets:      f.secrets,
		AdminSocket:  f.adminSocket(),
		Workload:     f.workload.socket,
		HotRestart:   f.restart,
		DrainTimeout: f.drain,
		Log:          log,
	}
	if opts.Identity, err = f.identityConfig(log); err != nil {
		return err
	}
	if opts.WorkloadMode, err = f.workload.check(opts.Identity != nil); err != nil {
		return err
	}
	f.health.share = f.restart != ""
	kubelet, at, err := f.health.listen(socketOf(b, opts.AdminSocket), log)
	if err != nil {
		return err
	}
	return beside(ctx, kubelet, at, func(ctx context.Context) error { return dataplane.Run(ctx, opts) })
}

func (f *proxyFlags) load() (*bootstrap.Bootstrap, error) {
	if f.inline != "" {
		return bootstrap.Parse("--config-yaml", []byte(f.inline))
	}
	return bootstrap.Load(f.bootstrap)
}

// socketOf is the unix socket of the admin endpoint: the bootstrap's, else the
// one of the command line; "" where the endpoint is none.
func socketOf(b *bootstrap.Bootstrap, flag string) string {
	switch {
	case b.Admin == nil:
		return flag
	case b.Admin.Network == "unix":
		return b.Admin.Address
	}
	return ""
}

func newLogger(level string, w io.Writer) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})), nil
}

func (f *proxyFlags) adminSocket() string {
	for _, dir := range []string{f.lastGood, f.identity.Dir} {
		if f.admin == "" && dir != "" {
			return filepath.Join(dir, "admin.sock")
		}
	}
	return f.admin
}

// identityConfig gives nil without an authority. The three flags belong
// together: one alone is a mistake, not a proxy without identity.
func (f *proxyFlags) identityConfig(log *slog.Logger) (*identity.Config, error) {
	c := f.identity
	if c.CAAddress == "" && c.CARootFile == "" && c.Dir == "" && c.TokenFile == "" && c.AccountTokenFile == "" && c.SPIFFEID == "" {
		return nil, nil
	}
	if c.CAAddress == "" || c.CARootFile == "" || c.Dir == "" {
		return nil, errors.New("an identity needs --ca-address, --ca-root and --identity-dir")
	}
	c.Log = log
	return &c, nil
}
