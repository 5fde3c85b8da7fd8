package local

import (
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
func (l layout) logs() string      { return filepath.Join(l.state, "logs") }

// node is the private directory of one proxy.
func (l layout) node(w *model.Workload) string {
	return filepath.Join(l.state, "proxies", string(w.Role)+"-"+w.Service.Namespace+"-"+w.ID)
}

// maxSocketPath is what sun_path holds, less its final NUL (unix(7)).
const maxSocketPath = 107

// adminSocket is in the proxy's directory.
func (l layout) adminSocket(w *model.Workload) (string, error) {
	path := filepath.Join(l.node(w), "admin.sock")
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("unix socket path %s is %d bytes long, more than %d: use a state directory with a shorter path", path, len(path), maxSocketPath)
	}
	return path, nil
}

// prepare makes the directories, private to the user.
func (l layout) prepare() error {
	for _, dir := range []string{l.state, l.ca(), l.logs()} {
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
