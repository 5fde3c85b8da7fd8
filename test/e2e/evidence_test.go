package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// record logs what was measured; a soak keeps it in docs/evidence/soak, with
// the commit and the machine.
func record(t *testing.T, text string) {
	t.Helper()
	t.Log("\n" + text)
	if !soak {
		return
	}
	dir := filepath.Join(root, "docs", "evidence", "soak")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	describe := exec.Command("git", "describe", "--always", "--dirty")
	describe.Dir = root
	commit, err := describe.Output()
	if err != nil {
		t.Fatal(err)
	}
	head := fmt.Sprintf("%s\ncommit %s\ndate %s\nmachine %s/%s, %d CPUs, %s\n\n", t.Name(), strings.TrimSpace(string(commit)),
		time.Now().UTC().Format(time.RFC3339), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	if err := os.WriteFile(filepath.Join(dir, t.Name()+".txt"), []byte(head+text), 0o644); err != nil {
		t.Fatal(err)
	}
}
