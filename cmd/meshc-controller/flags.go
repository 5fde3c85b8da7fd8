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
	"github.com/spf13/pflag"

	"github.com/meshc/meshc/compiler/emit/kube"
	"github.com/meshc/meshc/reconciler/source"
)

// Roles of a controller.
const (
	roleReconcile = "reconcile"
	roleServe     = "serve"
	roleCA        = "ca"
	roleInject    = "inject"
)

// allRoles are those of a process that is told none; optionalRoles need to be named.
var (
	allRoles      = []string{roleReconcile, roleServe, roleCA}
	optionalRoles = []string{roleInject}
)

// config is the command line.
type config struct {
	roles         []string
	repo          string
	ref           string
	path          string
	git           source.Options
	policy        source.Policy
	webhook       string
	webhookSecret string
	state         string
	workloads     string
	adsAddress    string
	caAddress     string
	caDir         string
	caRootOut     string
	trustDomain   string
	aliasRoots    string
	interval      time.Duration
	allowEmpty    bool
	admin         string
	mesh          string // in a cluster
	kubeconfig    string
	identity      string
	lease         time.Duration
	authority     authorityFlags
	federation    federationFlags
	inject        injectFlags
	probe         string
	publishRoots  bool
}

func newControllerCmd() *cobra.Command {
	c := &config{}
	cmd := &cobra.Command{
		Use:   "meshc-controller (--repo PATH|URL --state DIR --workloads FILE | --mesh NAMESPACE/NAME --ca-dir DIR)",
		Short: "keep proxies in line with Git: reconcile, serve ADS, issue certificates",
		Args:  cobra.NoArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return c.complete(cmd.Flags())
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), c, newLogger()) },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	f := cmd.Flags()
	f.StringSliceVar(&c.roles, "roles", allRoles, "what this process does: "+strings.Join(allRoles, ", ")+", and in a cluster inject; or ca or inject alone")
	f.StringVar(&c.repo, "repo", "", "Git repository: a path, https://, ssh:// (http:// and git:// on loopback)")
	f.StringVar(&c.ref, "ref", "main", "branch, tag, full reference or hash to follow, or semver:RANGE for the tag of the highest version in it")
	f.StringVar(&c.path, "path", ".", "directory of the mesh in the repository")
	f.StringVar(&c.state, "state", "", "directory that keeps what serves")
	f.StringVar(&c.workloads, "workloads", "", "JSON file of running workloads, read again when it changes; in a cluster also Services, EndpointSlices, Pods and Nodes (the default there)")
	f.StringVar(&c.adsAddress, "ads-address", "127.0.0.1:15010", "where proxies connect for ADS")
	f.StringVar(&c.caAddress, "ca-address", "127.0.0.1:15012", "where workloads connect for certificates")
	f.StringVar(&c.caDir, "ca-dir", "", "keystore of the certificate authority (default: ca in the state directory)")
	f.StringVar(&c.caRootOut, "ca-root-out", "", "file to write the root certificates to, for workloads to trust")
	f.StringVar(&c.trustDomain, "trust-domain", "cluster.local", "SPIFFE trust domain; a mesh of another one is refused")
	f.StringVar(&c.aliasRoots, "alias-roots", "", "PEM file with the roots of the trust domains that a mesh may list as trustDomainAliases; each root has the SPIFFE ID of its own")
	f.DurationVar(&c.interval, "interval", 0, "time between looks at the repository (default 1s for a path, 30s for a URL)")
	f.BoolVar(&c.allowEmpty, "allow-empty", false, "take a commit that removes every service")
	f.StringVar(&c.admin, "admin", "", "path of a Unix socket, or loopback address, for /ready and /status")
	f.StringVar(&c.mesh, "mesh", "", "in a cluster: namespace and name of the Mesh, which says repository, reference and path; what serves is kept in the cluster")
	f.StringVar(&c.kubeconfig, "kubeconfig", "", "in a cluster, with --mesh or --ca-attest=token-review: how to reach the API server (default: as the service account of this pod)")
	f.StringVar(&c.identity, "identity", "", "in a cluster: name of this replica (default: the host name)")
	f.DurationVar(&c.lease, "lease", 15*time.Second, "in a cluster: how long a replica that has died keeps others from writing")
	f.StringVar(&c.git.TokenFile, "git-token-file", "", "https: file that holds the token")
	f.StringVar(&c.git.App.ID, "git-app-id", "", "https: ID of a GitHub App, in place of a token")
	f.StringVar(&c.git.App.Installation, "git-app-installation", "", "https: number of the installation of the GitHub App")
	f.StringVar(&c.git.App.KeyFile, "git-app-key-file", "", "https: private key of the GitHub App")
	f.StringVar(&c.git.App.API, "git-app-api", "", "https: address of the API of GitHub (default https://api.github.com)")
	f.StringVar(&c.git.CredentialsFor, "git-credentials-for", "", "https: what addresses begin with that the token or the GitHub App is for, such as https://github.com/org; with --mesh it must be said")
	f.StringVar(&c.git.Username, "git-username", "", "https: user name beside the token (default x-access-token)")
	f.StringVar(&c.git.CAFile, "git-ca-file", "", "https: PEM roots in place of the system's")
	f.StringVar(&c.git.SSHKeyFile, "git-ssh-key-file", "", "ssh: private key")
	f.StringVar(&c.git.KnownHostsFile, "git-known-hosts-file", "", "ssh: known hosts; mandatory, there is no trust on first use")
	f.BoolVar(&c.git.AllowInsecure, "git-allow-insecure", false, "allow http:// and git:// beyond loopback")
	f.DurationVar(&c.git.Timeout, "git-timeout", time.Minute, "longest time for one conversation with the repository")
	f.StringVar(&c.webhook, "webhook-address", "", "where a Git forge says that something was pushed, by HTTP; it only wakes the look at the repository")
	f.StringVar(&c.webhookSecret, "webhook-secret-file", "", "file with the secret of the webhook (GitHub's X-Hub-Signature-256, GitLab's X-Gitlab-Token)")
	c.addPolicyFlags(f)
	c.authority.register(f)
	c.federation.register(f)
	c.inject.register(f)
	f.BoolVar(&c.publishRoots, "publish-roots", false, "in a cluster: keep the root certificates in the ConfigMap "+kube.DefaultRootMap+" of every namespace labelled "+kube.InjectKey+"=enabled, where injected pods read them")
	f.StringVar(&c.probe, "probe-address", "", "where the kubelet asks for /live and /ready, by HTTP")
	return cmd
}

func (c *config) has(role string) bool { return slices.Contains(c.roles, role) }

// complete checks what flags alone can tell and fills what follows from them.
func (c *config) complete(f *pflag.FlagSet) error {
	if err := c.checkRoles(); err != nil {
		return err
	}
	if err := c.authority.check(); err != nil {
		return err
	}
	if err := c.federation.check(); err != nil {
		return err
	}
	if err := c.refuseIdle(f); err != nil {
		return err
	}
	if c.mesh != "" {
		return c.completeCluster()
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
	if err := c.checkWebhook(); err != nil {
		return err
	}
	return c.checkAdmin()
}

func (c *config) checkRoles() error {
	for _, r := range c.roles {
		if !slices.Contains(allRoles, r) && !slices.Contains(optionalRoles, r) {
			return fmt.Errorf("role %q is not one of %s", r, strings.Join(slices.Concat(allRoles, optionalRoles), ", "))
		}
	}
	switch {
	case c.injectAlone():
		return c.checkInject()
	case !c.has(roleCA):
		return fmt.Errorf("roles %s: ADS listens with a certificate of the CA in the same process, so ca is needed", strings.Join(c.roles, ","))
	case c.has(roleReconcile) && !c.has(roleServe), c.has(roleServe) && !c.has(roleReconcile) && c.mesh == "":
		return fmt.Errorf("roles %s: reconcile pushes to serve in the same process, so both are needed", strings.Join(c.roles, ","))
	}
	return c.checkInject()
}

// minLease is the shortest term of a lease that can be renewed in time.
const minLease = time.Second

// completeCluster is complete for a controller in a cluster.
func (c *config) completeCluster() error {
	namespace, name, ok := strings.Cut(c.mesh, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("--mesh %q is not NAMESPACE/NAME", c.mesh)
	}
	for flag, given := range map[string]bool{
		"--repo": c.repo != "", "--state": c.state != "", "--ref": c.ref != "main", "--path": c.path != ".",
		"--interval": c.interval != 0, "--allow-empty": c.allowEmpty,
	} {
		if given {
			return fmt.Errorf("%s and --mesh exclude each other: the Mesh says it", flag)
		}
	}
	if c.injectAlone() {
		return c.checkAdmin()
	}
	if c.caDir == "" {
		return fmt.Errorf("--ca-dir is missing")
	}
	if !c.has(roleServe) {
		return fmt.Errorf("--mesh needs the role serve")
	}
	if c.lease < minLease {
		return fmt.Errorf("--lease is shorter than %s", minLease)
	}
	if c.git.Timeout <= 0 {
		return fmt.Errorf("--git-timeout must be positive")
	}
	if c.git.Credentials() && c.git.CredentialsFor == "" {
		return fmt.Errorf("--git-credentials-for is missing: whoever may write the Mesh would have the credentials sent anywhere")
	}
	if err := c.checkWebhook(); err != nil {
		return err
	}
	return c.checkAdmin()
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
