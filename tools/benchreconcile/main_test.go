package benchreconcile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/test/apiserver"
	"github.com/meshc/meshc/tools/cost"
)

// bin has the built programs.
var bin string

// full says that the sizes are those that the figures are said for.
var full = os.Getenv("MESHC_BENCH") == "1"

// size is how much is measured.
type size struct {
	objects   int // services of the mesh that is applied
	drifts    int
	quiet     time.Duration // how long passes that change nothing are counted
	proxies   int           // one of each service
	users     int           // of the service whose timeout is changed
	commits   int           // of each kind
	storm     time.Duration // in which all proxies reconnect
	reference string        // root of the sources
}

func sizes() size {
	s := size{objects: 40, drifts: 4, quiet: 3 * time.Second, proxies: 30, users: 6, commits: 2, storm: time.Second}
	if full {
		s = size{objects: 4000, drifts: 120, quiet: 30 * time.Second, proxies: 1000, users: 100, commits: 20, storm: 5 * time.Second}
	}
	s.reference = filepath.Join("..", "..")
	return s
}

// patience bounds every wait.
const patience = 3 * time.Minute

// record has what is printed; nil before the first line.
var record *cost.Record

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "meshc-benchreconcile-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(bin)
	build := exec.Command("go", "build", "-trimpath", "-o", bin+"/", "./cmd/meshc-controller")
	build.Dir = sizes().reference
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the controller: %v\n%s", err, out)
		return 2
	}
	record = cost.Begin()
	record.Say("%-58s %12s  %s", "what", "figure", "goal")
	code := apiserver.Run(m)
	if full && code == 0 {
		if err := record.Keep(filepath.Join(sizes().reference, "docs", "evidence", "bench-reconcile")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	return code
}

// row is one figure. What it should be is said beside it, and not held: machines
// differ. What is to be zero is held by the tests.
func row(goal, format, what string, figure any) {
	record.Say("%-58s %12s  %s", what, fmt.Sprintf(format, figure), goal)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
