package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// Options of Run.
type Options struct {
	Mesh     string // the mesh directory; what is run is looked for from here
	Repo     string // the Git repository that Mesh lies in
	Path     string // Mesh relative to Repo, slash-separated, "." for its root
	Ref      string // what to watch, for example "HEAD"
	State    string // state directory, absolute
	Interval time.Duration
	// TrustDomain of the mesh; it cannot change while the mesh runs.
	TrustDomain string
	// First is the commit whose local.yaml gives the network, which cannot
	// change while the mesh runs either.
	First string
	// Config gives local.yaml as of a commit.
	Config func(ctx context.Context, commit string) (*Config, error)
	// AliasRoots is a file with the roots of aliases of the trust domain; "" is none.
	AliasRoots string
	// Secrets is the directory of the certificates that the mesh names; "" is
	// secrets below State.
	Secrets string
	// Controller and Proxy are the programs to run.
	Controller, Proxy string
	// Serving gives the model that is being served, nil while there is none,
	// and its commit.
	Serving func() (*model.Mesh, string, error)
	// Programmed gives how far what serves has come on the proxies.
	Programmed func() (Progress, error)
	// Report tells the user what happens; OnReady is called when the first
	// commit's processes have been started.
	Report  func(format string, args ...any)
	OnReady func(*Placement)
}

// Progress is how far what serves has come.
type Progress struct {
	Complete bool     // every node has all of it
	Nodes    []string // ids of the nodes that should
}

// runner is a running mesh.
type runner struct {
	o     Options
	at    layout
	sup   *Supervisor
	alloc *Alloc

	adsAddr, caAddr string
	placed          *Placement
	mesh            *model.Mesh     // that placed was made of
	tokensAt        time.Time       // when join tokens were looked at last
	told            map[string]bool // problems that were reported
	network         string          // of every address
	restored        string          // commit that served before this run; "" for none
	tried           string          // commit that was placed last, or could not be
	triedAt         time.Time       // when
	tryErr          error           // why not
	running         bool            // everything that placed names has been started

	ready    map[string]bool      // by node id
	nodes    map[string]string    // command → id of its node
	retiring map[string]time.Time // command that is not wanted → since when
}

// look is how often the served model is looked at.
const look = 200 * time.Millisecond

// Run keeps the mesh running until ctx ends, then stops what it started:
// gateways first, then applications and sidecars, the controller last.
func Run(ctx context.Context, o Options) error {
	r := &runner{
		o: o, at: layout{o.State}, told: map[string]bool{},
		ready: map[string]bool{}, nodes: map[string]string{}, retiring: map[string]time.Time{},
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	defer r.stopAll()
	if err := r.startController(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := errors.Join(r.follow(ctx), r.keepTokens(), r.sup.RotateLogs()); err != nil && ctx.Err() == nil {
			r.tell("%v", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (r *runner) prepare(ctx context.Context) error {
	if err := r.at.prepare(); err != nil {
		return err
	}
	if r.o.Secrets == "" {
		r.o.Secrets = r.at.secrets()
	}
	if err := r.at.ignoreInGit(); err != nil {
		return err
	}
	cfg, err := r.o.Config(ctx, r.o.First)
	if err != nil {
		return err
	}
	if _, r.restored, err = r.o.Serving(); err != nil {
		return err
	}
	r.network = cfg.Network
	if r.alloc, err = OpenAlloc(r.at.addresses(), r.network); err != nil {
		return err
	}
	ip, err := r.alloc.Addr("controller")
	if err != nil {
		return err
	}
	r.adsAddr, r.caAddr = at(ip, 15010), at(ip, 15012)
	for _, addr := range []string{r.adsAddr, r.caAddr} {
		if err := mustBeFree(addr); err != nil {
			return err
		}
	}
	if err := r.takeUpReadiness(); err != nil {
		return err
	}
	if _, err := os.Stat(r.at.workloads()); errors.Is(err, fs.ErrNotExist) {
		if err := r.writeWorkloads(nil); err != nil {
			return err
		}
	}
	r.sup = NewSupervisor(r.at.logs(), r.o.Report)
	return nil
}

// mustBeFree fails when another mesh is running on the same addresses.
func mustBeFree(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("the control plane cannot listen on %s: %w; is this mesh running already? another mesh on this machine needs another network in its %s", addr, err, FileName)
	}
	return l.Close()
}

// tell reports each problem once.
func (r *runner) tell(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if !r.told[msg] {
		r.told[msg] = true
		r.o.Report("%s", msg)
	}
}

func (r *runner) startController(ctx context.Context) error {
	admin, err := ControllerSocket(r.o.State)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(admin), 0o700); err != nil {
		return err
	}
	args := []string{
		"--admin", admin,
		"--repo", r.o.Repo, "--ref", r.o.Ref, "--path", r.o.Path, "--state", r.o.State,
		"--workloads", r.at.workloads(), "--ads-address", r.adsAddr, "--ca-address", r.caAddr,
		"--ca-dir", r.at.ca(), "--ca-root-out", r.at.caRoot(), "--interval", r.o.Interval.String(), "--trust-domain", r.o.TrustDomain,
	}
	if r.o.AliasRoots != "" {
		args = append(args, "--alias-roots", r.o.AliasRoots)
	}
	err = r.sup.Run(&Command{Name: "controller", Path: r.o.Controller, Grace: 5 * time.Second, Args: args, Sockets: []string{admin}})
	if err != nil {
		return err
	}
	if err := r.writeProcesses(); err != nil {
		return err
	}
	return r.waitFor(ctx, "the certificate authority", func() error {
		if _, err := os.Stat(r.at.caRoot()); err != nil {
			return err
		}
		c, err := net.DialTimeout("tcp", r.caAddr, time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// waitFor asks until ready says nil, for at most 20 s.
func (r *runner) waitFor(ctx context.Context, what string, ready func() error) error {
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return fmt.Errorf("%s is not ready after 20 s: %w; logs are in %s", what, err, r.at.logs())
		case <-tick.C:
		}
	}
}

// follow brings placement and processes in line with the served commit, and the
// workloads in line with what is ready. What cannot be placed is told, and what
// runs stays.
func (r *runner) follow(ctx context.Context) error {
	m, commit, err := r.o.Serving()
	if err != nil || m == nil {
		return err
	}
	first := r.placed == nil
	notPlaced := r.place(ctx, m, commit)
	if r.placed == nil {
		return notPlaced
	}
	r.markReady(ctx)
	// The workloads come before the proxies: a proxy that is not among them
	// is refused.
	failed := errors.Join(notPlaced, r.writeWorkloads(r.placed.Workloads))
	if !r.running {
		err := r.runAll(r.mesh, r.placed)
		r.running = err == nil
		failed = errors.Join(failed, err)
	}
	r.retire()
	if first && r.o.OnReady != nil {
		r.o.OnReady(r.placed)
	}
	return errors.Join(failed, r.writeProcesses())
}

// tryAgain is when a commit that could not be placed is looked at anew.
const tryAgain = time.Second

// place finds out where everything of a commit is to run, unless that has been
// done.
func (r *runner) place(ctx context.Context, m *model.Mesh, commit string) error {
	if commit == r.tried && (r.tryErr == nil || time.Since(r.triedAt) < tryAgain) {
		return r.tryErr
	}
	r.tried, r.triedAt, r.tryErr = commit, time.Now(), nil
	r.tryErr = r.placeAnew(ctx, m, commit)
	return r.tryErr
}

func (r *runner) placeAnew(ctx context.Context, m *model.Mesh, commit string) error {
	cfg, err := r.o.Config(ctx, commit)
	if err != nil {
		return fmt.Errorf("what runs stays: %w", err)
	}
	// What served before this run may have had another network; this run has
	// that of the newest commit.
	if cfg.Network != r.network && commit != r.restored {
		return fmt.Errorf("%s of commit %.12s: network is %s, and this mesh runs in %s, which cannot change while it runs; what runs stays: end meshc up and start it again, or set network back", FileName, commit, cfg.Network, r.network)
	}
	p, err := Place(m, cfg, r.alloc)
	if err != nil {
		return err
	}
	for _, problem := range p.Problems {
		r.tell("%s", problem)
	}
	if err := r.alloc.Save(); err != nil {
		return err
	}
	r.placed, r.mesh, r.running = p, m, false
	return nil
}

// runAll starts what is new or different and retires what is gone.
func (r *runner) runAll(m *model.Mesh, p *Placement) error {
	want := map[string]bool{"controller": true}
	var failed []error
	for _, app := range p.Apps {
		name := appPrefix + app.Name
		want[name], r.nodes[name] = true, app.Node
		failed = append(failed, r.runApp(name, app))
	}
	for _, w := range p.Workloads {
		name := proxyName(w)
		want[name], r.nodes[name] = true, w.NodeID()
		failed = append(failed, r.runProxy(m, w))
	}
	r.notWanted(want)
	return errors.Join(failed...)
}

// appPrefix begins the names of the applications' commands.
const appPrefix = "app-"

func proxyName(w *model.Workload) string { return string(w.Role) + "-" + localName(w) }

func (r *runner) runApp(name string, app App) error {
	path, err := r.lookPath(app.Command[0])
	if err != nil {
		return fmt.Errorf("%s: %w", app.Name, err)
	}
	return r.sup.Run(&Command{Name: name, Path: path, Args: app.Command[1:], Env: app.Env, Grace: 3 * time.Second})
}

// lookPath finds a command on PATH, or relative to the mesh directory when it
// has a slash.
func (r *runner) lookPath(name string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) && !filepath.IsAbs(name) {
		name = filepath.Join(r.o.Mesh, name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// runProxy writes the proxy's bootstrap, has a join token ready, and starts it.
func (r *runner) runProxy(m *model.Mesh, w *model.Workload) error {
	if err := r.mayListen(w); err != nil {
		return err
	}
	dir := r.at.node(w)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	admin, err := r.at.adminSocket(w)
	if err != nil {
		return err
	}
	bootstrap, err := emitxds.Bootstrap(emitxds.BootstrapOptions{
		NodeID: w.NodeID(), Cluster: w.Service.String(), Version: w.Version, Locality: w.Locality, AdminSocket: admin,
		AgentSocket: filepath.Join(dir, "agent.sock"),
		Controller:  r.adsAddr, ControllerID: controllerID(m.TrustDomain),
	})
	if err != nil {
		return err
	}
	raw, err := emitxds.JSON(bootstrap)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "bootstrap.json")
	if err := writeFile(file, raw); err != nil {
		return err
	}
	token := r.at.token(w)
	if err := r.readyToken(m, w); err != nil {
		return err
	}
	return r.sup.Run(&Command{
		Name: proxyName(w), Path: r.o.Proxy, Grace: 10 * time.Second, Sockets: []string{admin},
		Args: []string{
			"-c", file, "--identity-dir", filepath.Join(dir, "identity"), "--ca-address", r.caAddr,
			"--ca-root", r.at.caRoot(), "--join-token-file", token, "--last-good", filepath.Join(dir, "last-good"), "--workers", "1",
			"--secrets-dir", r.o.Secrets,
		},
	})
}

// mayListen fails while somebody else has an address that a gateway is about
// to listen on: a proxy that is told to would refuse its configuration.
func (r *runner) mayListen(w *model.Workload) error {
	if w.Role != model.RoleGateway || r.sup.Pid(proxyName(w)) != 0 {
		return nil
	}
	for _, port := range slices.Sorted(maps.Keys(w.Inbound)) {
		l, err := net.Listen("tcp", w.Inbound[port])
		if err != nil {
			return fmt.Errorf("gateway %s waits for its port %d: %w; end what listens there, or name another address in %s", w.Service, port, err, FileName)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// controllerID is the identity that the control plane shows (ca/validate).
func controllerID(trustDomain string) string {
	return "spiffe://" + trustDomain + "/ns/meshc-system/sa/meshc-controller"
}

func spiffeID(m *model.Mesh, w *model.Workload) (string, error) {
	for _, s := range m.Services {
		if w.Role != model.RoleGateway && s.Ref == w.Service {
			return s.SPIFFEID, nil
		}
	}
	for _, g := range m.Gateways {
		if w.Role == model.RoleGateway && g.Ref == w.Service {
			return g.SPIFFEID, nil
		}
	}
	return "", fmt.Errorf("the mesh has no %s", w.Service)
}

func (r *runner) writeWorkloads(list []*model.Workload) error {
	if list == nil {
		list = []*model.Workload{}
	}
	raw, err := json.MarshalIndent(map[string]any{"workloads": list}, "", "  ")
	if err != nil {
		return err
	}
	return writeChanged(r.at.workloads(), raw)
}

// writeProcesses notes the process ids, for people and scripts.
func (r *runner) writeProcesses() error {
	pids := map[string]int{}
	for _, n := range r.sup.Names() {
		pids[n] = r.sup.Pid(n)
	}
	raw, err := json.MarshalIndent(pids, "", "  ")
	if err != nil {
		return err
	}
	return writeChanged(r.at.processes(), raw)
}

func (r *runner) stopAll() {
	groups := map[string][]string{}
	for _, n := range r.sup.Names() {
		kind, _, _ := strings.Cut(n, "-")
		groups[kind] = append(groups[kind], n)
	}
	for _, kind := range slices.Concat([]string{"gateway", "app", "sidecar"}, slices.Sorted(maps.Keys(groups))) {
		r.sup.Stop(groups[kind]...)
	}
	for _, err := range []error{os.Remove(r.at.processes()), os.RemoveAll(r.at.shortDir())} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.o.Report("%v", err)
		}
	}
}
