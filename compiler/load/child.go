package load

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// childMarker in the environment makes a process an evaluation child; its
// value is the limit of CPU time in seconds.
const childMarker = "MESHC_EVALUATION_CHILD"

// maxRequest bounds what a child reads from its parent.
const maxRequest = 1 << 30

// MaybeRunChild evaluates CUE and exits when this process was started as an
// evaluation child, and otherwise returns at once. A program that calls Mesh
// calls it first thing in main, a test binary in TestMain.
func MaybeRunChild() {
	cpu := os.Getenv(childMarker)
	if cpu == "" {
		return
	}
	if err := serveChild(cpu, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveChild answers one request.
func serveChild(cpu string, in io.Reader, out io.Writer) error {
	if err := limitSelf(cpu); err != nil {
		return err
	}
	kind, body, err := readFrame(in, maxRequest)
	if err != nil || kind != frameRequest {
		return fmt.Errorf("read request: frame %q: %w", kind, err)
	}
	req := &request{}
	if err := json.Unmarshal(body, req); err != nil {
		return fmt.Errorf("decode request: %w", err)
	}
	go exitWithParent(in)
	w := bufio.NewWriter(out)
	ans := evaluate(req, func(dir string) {
		if writeFrame(w, frameProgress, dir) != nil || w.Flush() != nil {
			os.Exit(1) // the parent is gone
		}
	})
	if err := writeFrame(w, frameAnswer, ans); err != nil {
		return err
	}
	return w.Flush()
}

// limitSelf takes from this process what evaluation does not need. The kernel
// kills it at the hard limit of CPU time; a stack of 64 MiB is deep enough for
// any mesh and ends runaway recursion early.
func limitSelf(cpu string) error {
	seconds, err := strconv.ParseUint(cpu, 10, 32)
	if err != nil {
		return fmt.Errorf("%s: %w", childMarker, err)
	}
	debug.SetMaxStack(64 << 20)
	for _, l := range []struct {
		what  int
		limit uint64
	}{{unix.RLIMIT_CPU, seconds}, {unix.RLIMIT_FSIZE, 0}, {unix.RLIMIT_CORE, 0}} {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			return fmt.Errorf("set resource limit: %w", err)
		}
	}
	return nil
}

// exitWithParent ends the child when the parent, which holds the other end
// until it has its answer, has gone.
func exitWithParent(in io.Reader) {
	_, _ = io.Copy(io.Discard, in)
	os.Exit(1)
}
