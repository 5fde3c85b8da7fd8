package kube

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshc/meshc/test/apiserver"
)

// bin has the built programs.
var bin string

// patience bounds every wait.
const patience = 60 * time.Second

// soak says that the long versions are to be run.
var soak = os.Getenv("MESHC_SOAK") == "1"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "meshc-kube-bin-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(bin)
	build := exec.Command("go", "build", "-trimpath", "-o", bin+"/", "./cmd/meshc", "./cmd/meshc-controller", "./cmd/meshc-proxy")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 2
	}
	return apiserver.Run(m)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
