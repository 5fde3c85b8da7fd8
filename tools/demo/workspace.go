package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// workspace is a fresh Git repository with the Bookinfo mesh in it.
type workspace struct {
	dir     string // removed at the end
	repo    string
	bin     string
	gateway string // address of the ingress gateway
}

func newWorkspace() (*workspace, error) {
	bin, err := binDir()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "meshc-demo-")
	if err != nil {
		return nil, err
	}
	ws := &workspace{dir: dir, repo: filepath.Join(dir, "bookinfo"), bin: bin}
	if err := ws.fill(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return ws, nil
}

func (ws *workspace) fill() error {
	if err := os.CopyFS(ws.repo, os.DirFS(filepath.Join("examples", "bookinfo", "mesh"))); err != nil {
		return err
	}
	var err error
	if ws.gateway, err = gatewayAddress(); err != nil {
		return err
	}
	if err := ws.edit("local.yaml", func(s string) string {
		return strings.Replace(s, "127.0.0.1:8080", ws.gateway, 1)
	}); err != nil {
		return err
	}
	if _, err := ws.git("init", "--quiet", "--initial-branch=main"); err != nil {
		return err
	}
	_, err = ws.commit("bookinfo: everything to v1")
	return err
}

// gatewayAddress is 127.0.0.1:8080, or another port when that one is taken.
func gatewayAddress() (string, error) {
	for _, addr := range []string{"127.0.0.1:8080", "127.0.0.1:0"} {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("no free port on 127.0.0.1")
}

// edit rewrites one file of the repository.
func (ws *workspace) edit(name string, change func(string) string) error {
	path := filepath.Join(ws.repo, name)
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(change(string(raw))), 0o644)
}

func (ws *workspace) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = ws.repo
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

// commit commits every change and gives the full hash.
func (ws *workspace) commit(message string) (string, error) {
	if _, err := ws.git("add", "--all"); err != nil {
		return "", err
	}
	if _, err := ws.git("commit", "--quiet", "--allow-empty", "-m", message); err != nil {
		return "", err
	}
	return ws.git("rev-parse", "HEAD")
}

// up starts `meshc up` on the repository, in a process group of its own so
// that Ctrl-C reaches this program first.
func (ws *workspace) up(quiet bool) (*exec.Cmd, error) {
	cmd := exec.Command(filepath.Join(ws.bin, "meshc"), "up", ws.repo)
	cmd.Env = append(os.Environ(), "PATH="+ws.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if quiet {
		cmd.Stdout = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start meshc up: %w", err)
	}
	return cmd, nil
}

// meshc runs one command on the repository and gives its output and exit status.
func (ws *workspace) meshc(args ...string) (string, int, error) {
	cmd := exec.Command(filepath.Join(ws.bin, "meshc"), args...)
	cmd.Dir = ws.repo
	out, err := cmd.Output()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		return "", 0, err
	}
	return string(out), cmd.ProcessState.ExitCode(), nil
}
