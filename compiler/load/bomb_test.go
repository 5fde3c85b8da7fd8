package load

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/test/bombs"
	"github.com/meshc/meshc/test/soak"
)

// TestBombsEndInOneError holds the promise about hostile input: an error after
// at most 12 s of a processor, all processes together, that names the file, and
// a parent that stays small. In a soak, which has the machine to itself, the
// error is there within 12 s.
func TestBombsEndInOneError(t *testing.T) {
	if testing.Short() {
		t.Skip("bombs take up to 12 s each")
	}
	for name, b := range bombs.All {
		t.Run(name, func(t *testing.T) { // one at a time: the children of all are counted
			before, used := settled(), usedCPU(t)
			start := time.Now()
			_, diags, err := Mesh(t.Context(), meshFS(b.Files...), Options{})
			took, used := time.Since(start), usedCPU(t)-used
			if err != nil {
				t.Fatal(err)
			}
			if used > mostOfBomb || soak.On() && took > mostOfBomb {
				t.Errorf("took %v of a CPU in %v", used, took)
			}
			if grown := settled() - before; grown > 64<<20 {
				t.Errorf("the parent grew by %d MiB", grown>>20)
			}
			checkBomb(t, &b, diags)
			t.Logf("%v of a CPU in %v: %s", used.Round(time.Millisecond), took.Round(time.Millisecond), diags[0].Message)
		})
	}
}

// mostOfBomb is what a load may take, whatever it is given.
const mostOfBomb = 12 * time.Second

// usedCPU is what this process, and its children that have ended, have had of
// all processors.
func usedCPU(t *testing.T) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// checkBomb wants an error at the file. Where the bomb is a value that CUE refuses,
// what refers to it may have an error as well.
func checkBomb(t *testing.T, b *bombs.Bomb, diags diag.List) {
	t.Helper()
	named := false
	for _, d := range diags {
		if d.Severity != diag.Error {
			continue
		}
		named = named || d.Range.File == b.At
		if !slices.Contains(b.Codes, d.Code) {
			t.Errorf("%s at %q: %s", d.Code, d.Range.File, shorten(d.Message))
		}
	}
	if !named {
		t.Errorf("no error names %q: %+v", b.At, diags)
	}
}

// settled gives the resident bytes of this process after what is garbage has
// gone.
func settled() int64 {
	debug.FreeOSMemory()
	return resident(os.Getpid())
}

// TestBombsDoNotAddUp loads bombs one after the other: a parent that lives for
// months stays as small as it was.
func TestBombsDoNotAddUp(t *testing.T) {
	fast := Options{Limits: Limits{CPU: time.Second, Memory: 128 << 20}}
	fsys := meshFS(bombs.All["doubling interpolation"].Files...)
	detonate := func() {
		if _, diags, err := Mesh(t.Context(), fsys, fast); err != nil || !hasCode(diags, diag.EvaluationLimit) {
			t.Fatalf("%v, diagnostics %+v", err, diags)
		}
	}
	detonate()
	before, open := settled(), openFiles(t)
	for range 10 {
		detonate()
	}
	if grown := settled() - before; grown > 8<<20 {
		t.Errorf("the parent grew by %d KiB in ten bombs", grown>>10)
	}
	if now := openFiles(t); now > open {
		t.Errorf("%d files are open, and were %d", now, open)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestTimeIsUp: what has neither processor nor memory to blame ends as well.
func TestTimeIsUp(t *testing.T) {
	limits := Limits{Wall: 20 * time.Millisecond}
	_, diags, err := Mesh(t.Context(), meshFS(bombs.All["nested disjunctions"].Files...), Options{Limits: limits})
	if err != nil || len(diags) != 1 || diags[0].Code != diag.EvaluationLimit || !strings.Contains(diags[0].Message, "exceeded 20ms of time") {
		t.Errorf("%v, %+v", err, diags)
	}
}

// TestBombOfSeveralFiles names all files of the directory when none explodes
// alone.
func TestBombOfSeveralFiles(t *testing.T) {
	half, rest, _ := strings.Cut(bombs.Doubling(40), "_s20: ")
	fsys := meshFS("shop/a.cue", "package mesh\n"+half, "shop/b.cue", "package mesh\n_s20: "+rest)
	_, diags, err := Mesh(t.Context(), fsys, Options{Limits: Limits{Memory: 256 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	if len(diags) != 1 || diags[0].Code != diag.EvaluationLimit || len(diags[0].Related) != 2 {
		t.Fatalf("%+v", diags)
	}
}

// TestOutputIsCapped gives a child less room than its answer needs.
func TestOutputIsCapped(t *testing.T) {
	fsys := meshFS("shop/cart.cue", "package mesh\nservice: cart: owner: \""+strings.Repeat("x", 100_000)+"\"\n")
	_, diags, err := Mesh(t.Context(), fsys, Options{AllCUE: true, Limits: Limits{Output: 10_000}})
	if err != nil {
		t.Fatal(err)
	}
	if len(diags) != 1 || diags[0].Code != diag.EvaluationLimit {
		t.Fatalf("diagnostics %+v", diags)
	}
}

// TestCancelledLoadIsAnError tells an impatient caller from a bad mesh.
func TestCancelledLoadIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	_, diags, err := Mesh(ctx, meshFS(bombs.All["nested disjunctions"].Files...), Options{})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, diagnostics %+v", err, diags)
	}
}
