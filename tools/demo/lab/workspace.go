package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Workspace is a fresh Git repository with a mesh in it, in a directory that
// Remove removes.
type Workspace struct {
	Dir     string // everything below goes when Remove is called
	Repo    string
	Bin     string // directory of the built commands
	Gateway string // address of the ingress gateway
	Network string // loopback network of the mesh
	// Env is added to the environment of what is started here.
	Env []string
}

// Source says what a workspace is made of.
type Source struct {
	Mesh string // directory to copy, with a local.yaml
	Bin  string // directory that holds meshc, its companions and the applications
	// Gateway is the address that the gateway is given if it is free; else,
	// and when it is "", any free port of 127.0.0.1 is taken.
	Gateway string
	// Network is the loopback network to use if it is free; else, and when it
	// is "", another one is drawn.
	Network string
}

// exampleGateway is the address in the example's local.yaml.
const exampleGateway = "127.0.0.1:8080"

// NewWorkspace copies the mesh, gives it addresses that are free and makes the
// first commit.
func NewWorkspace(s Source) (*Workspace, error) {
	dir, err := os.MkdirTemp("", "meshc-demo-")
	if err != nil {
		return nil, err
	}
	ws := &Workspace{Dir: dir, Repo: filepath.Join(dir, "bookinfo"), Bin: s.Bin}
	if err := ws.fill(s); err != nil {
		return nil, errors.Join(err, ws.Remove())
	}
	return ws, nil
}

// Remove removes everything of the workspace.
func (ws *Workspace) Remove() error { return os.RemoveAll(ws.Dir) }

func (ws *Workspace) fill(s Source) error {
	if err := os.CopyFS(ws.Repo, os.DirFS(s.Mesh)); err != nil {
		return err
	}
	var err error
	if ws.Gateway, err = freeAddress(s.Gateway); err != nil {
		return err
	}
	if ws.Network, err = freeNetwork(s.Network); err != nil {
		return err
	}
	if err := ws.Edit("local.yaml", func(s string) string {
		return "network: " + ws.Network + "\n" + strings.Replace(s, exampleGateway, ws.Gateway, 1)
	}); err != nil {
		return err
	}
	if _, err := ws.Git("init", "--quiet", "--initial-branch=main"); err != nil {
		return err
	}
	_, err = ws.Commit("bookinfo: everything to v1")
	return err
}

// freeAddress is the one wished for, or a free port of 127.0.0.1.
func freeAddress(wish string) (string, error) {
	for _, addr := range []string{wish, "127.0.0.1:0"} {
		if addr == "" {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", errors.New("no free port on 127.0.0.1")
}

// controlPort is the ADS port, which every running mesh has open on the first
// address of its network.
const controlPort = "15010"

// freeNetwork is the one wished for, or another one in which no mesh runs.
func freeNetwork(wish string) (string, error) {
	networks := []string{wish}
	for range 20 {
		networks = append(networks, fmt.Sprintf("127.%d.0.0/16", 80+rand.IntN(171)))
	}
	for _, n := range networks {
		if n == "" {
			continue
		}
		first := strings.TrimSuffix(n, "0/16") + "1"
		l, err := net.Listen("tcp", net.JoinHostPort(first, controlPort))
		if err == nil {
			return n, l.Close()
		}
	}
	return "", errors.New("no free loopback network was found for the mesh")
}

// Edit rewrites one file of the repository; one that is not there is empty.
func (ws *Workspace) Edit(name string, change func(string) string) error {
	path := filepath.Join(ws.Repo, name)
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(change(string(raw))), 0o644)
}

// Git runs one git command in the repository and gives its output.
func (ws *Workspace) Git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = ws.Repo
	cmd.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=meshc demo", "GIT_AUTHOR_EMAIL=demo@meshc.dev",
		"GIT_COMMITTER_NAME=meshc demo", "GIT_COMMITTER_EMAIL=demo@meshc.dev")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Commit commits every change and gives the full hash.
func (ws *Workspace) Commit(message string) (string, error) {
	if _, err := ws.Git("add", "--all"); err != nil {
		return "", err
	}
	if _, err := ws.Git("commit", "--quiet", "--allow-empty", "-m", message); err != nil {
		return "", err
	}
	return ws.Git("rev-parse", "HEAD")
}

// command is one of the built commands, with the applications on its PATH.
func (ws *Workspace) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(ws.Bin, name), args...)
	cmd.Dir = ws.Repo
	cmd.Env = append(os.Environ(), "PATH="+ws.Bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, ws.Env...)
	return cmd
}

// Up is a running `meshc up`.
type Up struct {
	Process *os.Process
	ended   chan struct{}
	err     error // of the end; valid once ended is closed
}

// Up starts `meshc up` on the repository, in a process group of its own so
// that Ctrl-C reaches this program first. What it prints goes to out and errw.
func (ws *Workspace) Up(out, errw io.Writer) (*Up, error) {
	cmd := ws.command("meshc", "up", ws.Repo)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Stdout, cmd.Stderr = out, errw
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start meshc up: %w", err)
	}
	u := &Up{Process: cmd.Process, ended: make(chan struct{})}
	go func() {
		u.err = cmd.Wait()
		close(u.ended)
	}()
	return u, nil
}

// Ended is closed when it has ended.
func (u *Up) Ended() <-chan struct{} { return u.ended }

// Err is why it ended. It waits for the end.
func (u *Up) Err() error {
	<-u.ended
	return u.err
}

// Stop sends sig and waits for the end, for at most 30 s.
func (u *Up) Stop(sig os.Signal) error {
	_ = u.Process.Signal(sig) // it may have ended already
	select {
	case <-u.ended:
		return u.err
	case <-time.After(30 * time.Second):
		_ = u.Process.Kill()
		<-u.ended
		return fmt.Errorf("meshc up did not end within 30 s of %v", sig)
	}
}

// Meshc runs one command on the repository and gives what it printed and its
// exit status.
func (ws *Workspace) Meshc(args ...string) (stdout string, code int, err error) {
	cmd := ws.command("meshc", args...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out) + string(exit.Stderr), exit.ExitCode(), nil
	}
	return string(out), 0, err
}

// WaitReady waits until HEAD is live on every proxy and the page is served.
func (ws *Workspace) WaitReady(ctx context.Context, up *Up, timeout time.Duration) error {
	head, err := ws.Git("rev-parse", "HEAD")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	probe := newLoad(ws.Gateway, "", 1, nil)
	defer probe.client.CloseIdleConnections()
	for {
		if _, code, err := ws.Meshc("wait", head, "--timeout", "1s"); err != nil {
			return err
		} else if code == 0 && probe.ask(ctx).Failed == "" {
			return nil
		}
		select {
		case <-up.Ended():
			return fmt.Errorf("meshc up ended: %w", up.Err())
		case <-ctx.Done():
			out, _, _ := ws.Meshc("status")
			return fmt.Errorf("the mesh was not ready within %v; meshc status:\n%s", timeout, out)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
