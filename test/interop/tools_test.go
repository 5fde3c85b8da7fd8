package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler/load"
)

// soak says that the long version of the tests was asked for.
var soak = os.Getenv("MESHC_SOAK") != ""

// scale gives the size of a test in its short and its long version.
func scale(short, long int) int {
	if soak {
		return long
	}
	return short
}

// built is what the tests build once, in a directory that TestMain removes.
var built struct {
	dir  string
	once sync.Once
	err  error
}

// proxyBinary is meshc-proxy, built from this tree.
func proxyBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(built.dir, "meshc-proxy")
	built.once.Do(func() {
		out, err := exec.Command("go", "build", "-o", path, "github.com/meshc/meshc/cmd/meshc-proxy").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("build meshc-proxy: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return path
}

// The compiler evaluates a mesh in a child process, which is this program
// again.
func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(dir)
	built.dir = dir
	return m.Run()
}
