package main

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/reconciler/source"
)

// Roles of a controller.
const (
	roleReconcile = "reconcile"
	roleServe     = "serve"
	roleCA        = "ca"
)

var allRoles = []string{roleReconcile, roleServe, roleCA}

// config is the command line.
type config struct {
	roles       []string
	repo        string
	ref         string
	path        string
	git         source.Options
	state       string
	workloads   string
	adsAddress  string
	caAddress   string
	caDir       string
	caRootOut   string
	trustDomain string
	interval    time.Duration
	allowEmpty  bool
	admin       string
}

func newControllerCmd() *cobra.Command {
	c := &config{}
	cmd := &cobra.Command{
		Use:   "meshc-controller --repo PATH|URL --state DIR --workloads FILE",
		Short: "keep proxies in line with Git: reconcile, serve ADS, issue certificates",
		Args:  cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			return c.complete()
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), c, newLogger()) },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	f := cmd.Flags()
	f.StringSliceVar(&c.roles, "roles", allRoles, "what this process does: "+strings.Join(allRoles, ", ")+"; or ca alone")
	f.StringVar(&c.repo, "repo", "", "Git repository: a path, https://, ssh:// (http:// and git:// on loopback)")
	f.StringVar(&c.ref, "ref", "main", "branch, tag, full reference or hash to follow")
	f.StringVar(&c.path, "path", ".", "directory of the mesh in the repository")
	f.StringVar(&c.state, "state", "", "directory that keeps what serves")
	f.StringVar(&c.workloads, "workloads", "", "JSON file of running workloads, read again when it changes")
	f.StringVar(&c.adsAddress, "ads-address", "127.0.0.1:15010", "where proxies connect for ADS")
	f.StringVar(&c.caAddress, "ca-address", "127.0.0.1:15012", "where workloads connect for certificates")
	f.StringVar(&c.caDir, "ca-dir", "", "keystore of the certificate authority (default: ca in the state directory)")
	f.StringVar(&c.caRootOut, "ca-root-out", "", "file to write the root certificates to, for workloads to trust")
	f.StringVar(&c.trustDomain, "trust-domain", "cluster.local", "SPIFFE trust domain; a mesh of another one is refused")
	f.DurationVar(&c.interval, "interval", 0, "time between looks at the repository (default 1s for a path, 30s for a URL)")
	f.BoolVar(&c.allowEmpty, "allow-empty", false, "take a commit that removes every service")
	f.StringVar(&c.admin, "admin", "", "path of a Unix socket, or loopback address, for /ready and /status")
	f.StringVar(&c.git.TokenFile, "git-token-file", "", "https: file that holds the token")
	f.StringVar(&c.git.Username, "git-username", "", "https: user name beside the token (default x-access-token)")
	f.StringVar(&c.git.CAFile, "git-ca-file", "", "https: PEM roots in place of the system's")
	f.StringVar(&c.git.SSHKeyFile, "git-ssh-key-file", "", "ssh: private key")
	f.StringVar(&c.git.KnownHostsFile, "git-known-hosts-file", "", "ssh: known hosts; mandatory, there is no trust on first use")
	f.BoolVar(&c.git.AllowInsecure, "git-allow-insecure", false, "allow http:// and git:// beyond loopback")
	f.DurationVar(&c.git.Timeout, "git-timeout", time.Minute, "longest time for one conversation with the repository")
	return cmd
}

func (c *config) has(role string) bool { return slices.Contains(c.roles, role) }

// complete checks what flags alone can tell and fills what follows from them.
func (c *config) complete() error {
	if err := c.checkRoles(); err != nil {
		return err
	}
	if c.has(roleReconcile) {
		for flag, value := range map[string]string{"--repo": c.repo, "--state": c.state, "--workloads": c.workloads, "--ref": c.ref} {
			if value == "" {
				return fmt.Errorf("%s is missing", flag)
			}
		}
	}
	if c.caDir == "" {
		if c.state == "" {
			return fmt.Errorf("--ca-dir is missing")
		}
		c.caDir = filepath.Join(c.state, "ca")
	}
	if c.interval < 0 || c.git.Timeout <= 0 {
		return fmt.Errorf("--interval and --git-timeout must not be negative")
	}
	return c.checkAdmin()
}

func (c *config) checkRoles() error {
	for _, r := range c.roles {
		if !slices.Contains(allRoles, r) {
			return fmt.Errorf("role %q is not one of %s", r, strings.Join(allRoles, ", "))
		}
	}
	switch {
	case !c.has(roleCA):
		return fmt.Errorf("roles %s: ADS listens with a certificate of the CA in the same process, so ca is needed", strings.Join(c.roles, ","))
	case c.has(roleReconcile) != c.has(roleServe):
		return fmt.Errorf("roles %s: reconcile pushes to serve in the same process, so both are needed", strings.Join(c.roles, ","))
	}
	return nil
}

// checkAdmin keeps the admin endpoint on this machine.
func (c *config) checkAdmin() error {
	if c.admin == "" || strings.Contains(c.admin, "/") {
		return nil
	}
	host, _, err := net.SplitHostPort(c.admin)
	if err != nil {
		return fmt.Errorf("--admin: %w", err)
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return fmt.Errorf("--admin: %s is not a loopback address", host)
	}
	return nil
}
