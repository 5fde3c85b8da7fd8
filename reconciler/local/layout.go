package local

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// layout is where things are kept below the state directory.
type layout struct{ state string }

func (l layout) workloads() string { return filepath.Join(l.state, "workloads.json") }
func (l layout) addresses() string { return filepath.Join(l.state, "addresses.json") }
func (l layout) processes() string { return filepath.Join(l.state, "processes.json") }
func (l layout) ca() string        { return filepath.Join(l.state, "ca") }
func (l layout) caRoot() string    { return filepath.Join(l.state, "ca-root.pem") }
func (l layout) secrets() string   { return filepath.Join(l.state, "secrets") }
func (l layout) logs() string      { return filepath.Join(l.state, "logs") }

// node is the private directory of one proxy. Names in a mesh have no dots.
func (l layout) node(w *model.Workload) string {
	return filepath.Join(l.state, "proxies", string(w.Role)+"-"+w.Service.Namespace+"."+w.ID)
}

// token is the file of the proxy's join token.
func (l layout) token(w *model.Workload) string { return filepath.Join(l.node(w), "join-token") }

// maxSocketPath is what sun_path holds, less its final NUL (unix(7)).
const maxSocketPath = 107

// adminSocket is in the proxy's directory, or, where that path is too long for
// a socket, in shortDir.
func (l layout) adminSocket(w *model.Workload) (string, error) {
	path := filepath.Join(l.node(w), "admin.sock")
	if len(path) <= maxSocketPath {
		return path, nil
	}
	short := filepath.Join(l.shortDir(), digest(w.NodeID())+".sock")
	if len(short) > maxSocketPath {
		return "", fmt.Errorf("unix socket paths %s and %s are both longer than %d bytes: use a state directory with a shorter path", path, short, maxSocketPath)
	}
	return short, os.MkdirAll(filepath.Dir(short), 0o700)
}

// ControllerSocket is where the controller of the mesh whose state is in a directory
// answers those who run it.
func ControllerSocket(state string) (string, error) {
	abs, err := filepath.Abs(state)
	if err != nil {
		return "", err
	}
	path := filepath.Join(abs, "controller.sock")
	if len(path) <= maxSocketPath {
		return path, nil
	}
	return filepath.Join(layout{state: abs}.shortDir(), "controller.sock"), nil
}

// shortDir is where sockets are kept whose path in the state directory would be
// too long. It belongs to this state directory alone.
func (l layout) shortDir() string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "meshc-"+digest(l.state))
}

// digest makes a short name of a long one.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}

// prepare makes the directories, private to the user.
func (l layout) prepare() error {
	for _, dir := range []string{l.state, l.ca(), l.logs(), l.secrets()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// ignoreInGit keeps the state directory out of the repository that it lies in.
func (l layout) ignoreInGit() error {
	path := filepath.Join(l.state, ".gitignore")
	if raw, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(raw)) == "*" {
		return nil
	}
	return os.WriteFile(path, []byte("*\n"), 0o600)
}
