package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/meshc/meshc/test/soak"
)

// root of the project, and the directory with the built programs.
var root, bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if root, err = filepath.Abs(filepath.Join("..", "..")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if bin, err = os.MkdirTemp("", "meshc-e2e-bin-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(bin)
	build := exec.Command("go", "build", "-trimpath", "-o", bin+"/", "./cmd/...", "./examples/bookinfo/...", "./tools/demo")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 2
	}
	return m.Run()
}

// long gives the count for the soak or the one for every day.
func long(soaked, daily int) int {
	if soak.On() {
		return soaked
	}
	return daily
}
