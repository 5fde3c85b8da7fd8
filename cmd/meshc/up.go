package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/policies"
	"github.com/meshc/meshc/reconciler/local"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/store"
)

func newUpCmd() *cobra.Command {
	var ref, state, secrets, aliasRoots string
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "up [DIR]",
		Short: "run the mesh on this machine",
		Long: `up runs the committed mesh in DIR (default ".") on loopback addresses: control
plane, certificate authority, a sidecar per workload, the gateways, and the
applications that DIR/` + local.FileName + ` names as of the commit that serves, each its own
process. It watches the Git repository: a commit changes what requests do and
what runs. Ctrl-C stops everything.`,
		Example: `  meshc up examples/bookinfo/mesh
  meshc up --ref refs/heads/main shop`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			o, err := upOptions(dir, ref, state)
			if err != nil {
				return err
			}
			if err = begin(cmd.Context(), cmd.ErrOrStderr(), o); err != nil {
				return err
			}
			o.Interval = interval
			if secrets != "" {
				if o.Secrets, err = filepath.Abs(secrets); err != nil {
					return err
				}
			}
			if aliasRoots != "" {
				if o.AliasRoots, err = filepath.Abs(aliasRoots); err != nil {
					return err
				}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return runUp(ctx, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&ref, "ref", "HEAD", "branch, tag or full ref to watch")
	cmd.Flags().StringVar(&state, "state", "", "state directory (default: .meshc at the top of the repository)")
	cmd.Flags().StringVar(&secrets, "secrets", "", "directory of the certificates that the mesh names (default: secrets in the state directory)")
	cmd.Flags().StringVar(&aliasRoots, "alias-roots", "", "PEM file with the roots of the trust domains that the mesh lists as trustDomainAliases")
	cmd.Flags().DurationVar(&interval, "interval", 250*time.Millisecond, "how often to look for a new commit")
	return cmd
}

// upOptions finds the mesh, its repository and the programs to run.
func upOptions(dir, ref, state string) (*local.Options, error) {
	mesh, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if mesh, err = filepath.EvalSymlinks(mesh); err != nil {
		return nil, fmt.Errorf("mesh directory: %w", err)
	}
	repo, sub, err := repositoryOf(mesh)
	if err != nil {
		return nil, fmt.Errorf("%w; meshc up runs what is committed: git init, git add and git commit first", err)
	}
	if state == "" {
		state = filepath.Join(repo, stateDirName)
	}
	if state, err = filepath.Abs(state); err != nil {
		return nil, err
	}
	o := &local.Options{Mesh: mesh, Repo: repo, Path: sub, Ref: ref, State: state}
	if o.Controller, err = findProgram("meshc-controller"); err != nil {
		return nil, err
	}
	o.Proxy, err = findProgram("meshc-proxy")
	return o, err
}

// begin reads what cannot change while the mesh runs from the commit that will
// be served first, or, if that one is broken, from what served last.
func begin(ctx context.Context, errw io.Writer, o *local.Options) error {
	repo, err := source.Open(o.Repo, source.Options{})
	if err != nil {
		return err
	}
	o.Config = func(ctx context.Context, commit string) (*local.Config, error) {
		return local.Committed(ctx, repo, o.Path, commit)
	}
	head, err := resolveRevision(o.Repo, o.Ref)
	if err == nil {
		var t *policies.Tree
		if t, err = (&diffFlags{dir: o.Mesh}).gitTree(ctx, errw, head.Hash, true); err == nil {
			o.First, o.TrustDomain = head.Hash, t.Model.TrustDomain
			return sameTrustDomain(ctx, errw, o, repo)
		}
	}
	last, commit, lastErr := store.Serving(o.State)
	if lastErr != nil {
		return err
	}
	fmt.Fprintf(errw, "%v; what served last is taken up again\n", err)
	o.First, o.TrustDomain = commit, last.TrustDomain
	return nil
}

// findProgram looks beside this executable, then on PATH.
func findProgram(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if info, err := os.Stat(beside); err == nil && info.Mode()&0o111 != 0 {
			return beside, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is neither beside meshc nor on PATH: %w", name, err)
	}
	return filepath.Abs(path)
}

func runUp(ctx context.Context, o *local.Options, out, errw io.Writer) error {
	var mu sync.Mutex // reports come from several goroutines
	o.Report = func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(errw, format+"\n", args...)
	}
	o.Serving = serving(o.State)
	o.Programmed = func() (local.Progress, error) { return progress(o.State) }
	o.OnReady = func(p *local.Placement) { fmt.Fprint(out, welcome(o, p)) }
	return local.Run(ctx, *o)
}

// serving gives what serves, and reads it only when it has changed.
func serving(state string) func() (*model.Mesh, string, error) {
	var read, commit string
	var m *model.Mesh
	return func() (*model.Mesh, string, error) {
		now, err := store.Fingerprint(state)
		if err == nil && now != read {
			if m, commit, err = store.Serving(state); err == nil {
				read = now
			}
		}
		if errors.Is(err, store.ErrNothing) {
			return nil, "", nil
		}
		return m, commit, err
	}
}

// progress is what the controller last reported of the proxies.
func progress(state string) (local.Progress, error) {
	s, err := store.ReadStatus(state)
	if err != nil {
		return local.Progress{}, err
	}
	p := local.Progress{Complete: s.Programmed.Complete()}
	for _, n := range s.Programmed.Nodes {
		p.Nodes = append(p.Nodes, n.ID)
	}
	return p, nil
}

// welcome says where things are and what to try.
func welcome(o *local.Options, p *local.Placement) string {
	var b strings.Builder
	fmt.Fprintf(&b, "the mesh is starting; everything is on loopback, and its state and logs are in %s\n\n", o.State)
	for _, w := range p.Workloads {
		if w.Role != model.RoleGateway {
			continue
		}
		for _, port := range slices.Sorted(maps.Keys(w.Inbound)) {
			fmt.Fprintf(&b, "  gateway   %-24s http://%s\n", w.Service.Name, w.Inbound[port])
		}
	}
	for _, a := range p.Apps {
		fmt.Fprintf(&b, "  workload  %s\n", a.Name)
	}
	fmt.Fprintf(&b, `
try   cd %s
      meshc status                     which commit is live on how many proxies
      edit a file, git commit, then    meshc wait HEAD
      meshc diff git:HEAD~1            what the last commit changed
Press Ctrl-C to stop.
`, o.Mesh)
	return b.String()
}
