package cost

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Mesh writes a mesh of testdata/genmesh with so many services to a directory;
// more are flags of genmesh.
func Mesh(services int, dir string, more ...string) error {
	args := append([]string{"-services", strconv.Itoa(services), "-out", dir}, more...)
	if err := exec.Command(filepath.Join("bin", "genmesh"), args...).Run(); err != nil {
		return fmt.Errorf("genmesh (make build makes it): %w", err)
	}
	return nil
}

// Change gives one service of such a mesh another timeout, or its own again.
func Change(tree string, another bool) error {
	from, to := []byte(`timeout: "5s"`), []byte(`timeout: "6s"`)
	if !another {
		from, to = to, from
	}
	name := filepath.Join(tree, "prod", "team-0000", "svc-00002.cue")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	changed := bytes.Replace(text, from, to, 1)
	if bytes.Equal(text, changed) {
		return fmt.Errorf("%s has no timeout to change", name)
	}
	return os.WriteFile(name, changed, 0o644)
}
