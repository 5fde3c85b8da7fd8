// Package stock finds stock Envoy for tests, and asks it what it thinks of a
// bootstrap. It is for tests alone.
package stock

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Envoy gives the path of Envoy 1.40: $MESHC_ENVOY, or what `make tools` put
// into $MESHC_TOOLS or ~/.cache/meshc/tools. Without one the test is skipped,
// loudly, and fails in CI.
func Envoy(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("MESHC_ENVOY"); path != "" {
		return path
	}
	roots := []string{os.Getenv("MESHC_TOOLS")}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, ".cache/meshc/tools"))
	}
	for _, root := range roots {
		found, err := filepath.Glob(filepath.Join(root, "envoy-1.40.0/lib/python3*/site-packages/envoy/_bin/envoy"))
		if root != "" && err == nil && len(found) > 0 {
			return found[0]
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("Envoy is not installed: run make tools")
	}
	t.Skip("SKIPPED, NOT PASSED: Envoy is not installed; run make tools")
	return ""
}

// Validate runs Envoy's own validation of a bootstrap in JSON, and gives what
// it logged. The error says that it refuses.
func Validate(t testing.TB, envoy string, bootstrap []byte) (log []byte, err error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "bootstrap.json")
	bootstrap = withKeys(t, dir, bootstrap)
	if err := os.WriteFile(file, bootstrap, 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file) // some tests validate hundreds
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, envoy, "--mode", "validate", "-c", file, "-l", "warn")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.Bytes(), err
}

// KeysFile is where the meshes of tests say that keys for tokens are. Envoy reads
// such a file as it starts.
const KeysFile = "/etc/mesh/jwks.json"

// keySet holds one key (RFC 7517, A.1).
const keySet = `{"keys": [{"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`

// withKeys puts a file in the place of KeysFile.
func withKeys(t testing.TB, dir string, bootstrap []byte) []byte {
	t.Helper()
	if !bytes.Contains(bootstrap, []byte(KeysFile)) {
		return bootstrap
	}
	file := filepath.Join(dir, "jwks.json")
	if err := os.WriteFile(file, []byte(keySet), 0o600); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(bootstrap, []byte(KeysFile), []byte(file))
}

// complaint is a line of Envoy's log that it must not write about a bootstrap.
var complaint = regexp.MustCompile(`(?i)deprecat|\]\[(error|critical)\]`)

// Complaint is the first line of a log in which Envoy finds fault with a
// bootstrap that it takes; "" without one.
func Complaint(log []byte) string {
	for line := range strings.Lines(string(log)) {
		if complaint.MatchString(line) {
			return line
		}
	}
	return ""
}

// Accepts fails the test when Envoy refuses a bootstrap, or takes it and
// complains.
func Accepts(t testing.TB, envoy, name string, bootstrap []byte) {
	t.Helper()
	log, err := Validate(t, envoy, bootstrap)
	if err != nil {
		t.Errorf("%s: envoy refuses: %v\n%s\n%s", name, err, log, bootstrap)
	} else if line := Complaint(log); line != "" {
		t.Errorf("%s: envoy accepts but complains: %s", name, line)
	}
}
