package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// maxStderr bounds what is kept of a child's last words.
const maxStderr = 16 << 10

// child is one evaluation in a process of its own.
type child struct {
	cmd     *exec.Cmd
	limits  Limits
	stdin   io.WriteCloser
	stdout  io.ReadCloser
	stderr  head
	dir     string // the directory that it said it evaluates, or the file that it reads
	stopped atomic.Pointer[string]
}

// runChild evaluates req in a child of this executable. A limit that the mesh
// exceeds is a diagnostic in the answer; the error is about this machine.
func runChild(ctx context.Context, req *request, limits Limits) (*answer, error) {
	c, err := startChild(limits)
	if err != nil {
		return nil, err
	}
	ans, readErr, waitErr := c.converse(ctx, req)
	if ans != nil {
		ans.Spent = c.cpuTime()
		return ans, nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, context.Canceled
	}
	d := c.postMortem(req, readErr, waitErr)
	if d.Code == diag.EvaluationLimit && d.Range.File == "" {
		blame(ctx, &d, req, c.dir, limits)
	}
	return &answer{Mesh: &intent.Mesh{}, Diags: diag.List{d}}, nil
}

// converse sends the request, reads what comes back, and ends the child. There
// is no answer when the child broke a limit, or broke.
func (c *child) converse(ctx context.Context, req *request) (ans *answer, readErr, waitErr error) {
	ctx, cancel := context.WithTimeout(ctx, c.limits.Wall)
	var wg sync.WaitGroup
	wg.Go(func() { c.watch(ctx) })
	wg.Go(func() {
		// A child that ended early has said why; EPIPE adds nothing.
		_ = writeFrame(c.stdin, frameRequest, req)
	})
	ans, readErr = c.read()
	c.kill()
	cancel()
	wg.Wait() // before the child's id can be another's
	return ans, readErr, c.cmd.Wait()
}

func startChild(limits Limits) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the executable for evaluation: %w", err)
	}
	c := &child{cmd: exec.Command(exe), limits: limits}
	// The kernel counts by ticks, and may be a second ahead of the clock that watch
	// reads. It is for when this process gets no time to watch.
	seconds := max(1, int((limits.CPU+time.Second-1)/time.Second)) + 2
	// A child lives for one load: garbage is cheaper than collecting it, up to
	// the soft limit of memory.
	c.cmd.Env = []string{
		childMarker + "=" + strconv.Itoa(seconds),
		"GOGC=400",
		"GOMEMLIMIT=" + strconv.FormatInt(limits.Memory/5*4, 10),
		"GOTRACEBACK=none",
	}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.Stderr = &c.stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start evaluation: %w", err)
	}
	if c.stdout, err = c.cmd.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("start evaluation: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start evaluation: %w", err)
	}
	return c, nil
}

// read takes frames until the answer, the end, or a frame out of order.
func (c *child) read() (*answer, error) {
	for {
		kind, body, err := readFrame(c.stdout, c.limits.Output)
		if errors.Is(err, errFrameTooLarge) {
			c.stop(fmt.Sprintf("%d MiB of output", c.limits.Output>>20))
		}
		if err != nil {
			return nil, err
		}
		switch kind {
		case frameProgress:
			if err := json.Unmarshal(body, &c.dir); err != nil {
				return nil, err
			}
		case frameAnswer:
			return decodeAnswer(body)
		default:
			return nil, fmt.Errorf("unexpected frame %q", kind)
		}
	}
}

// watch stops the child when it takes too much of a processor or of memory, or
// ctx ends. The kernel ends it as well, at whole seconds.
func (c *child) watch(ctx context.Context) {
	const interval = 10 * time.Millisecond
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				c.stop(fmt.Sprintf("%v of time", c.limits.Wall))
			}
			c.kill()
			return
		case <-tick.C:
			if resident(c.cmd.Process.Pid) > c.limits.Memory {
				c.stop(fmt.Sprintf("%d MiB of memory", c.limits.Memory>>20))
			} else if cpuTime(c.cmd.Process.Pid) > c.limits.CPU {
				c.stop(ofCPU(c.limits))
			}
		}
	}
}

// stop kills the child for a limit; the first reason stays.
func (c *child) stop(reason string) {
	c.stopped.CompareAndSwap(nil, &reason)
	c.kill()
}

// kill ends the child's process group. It is called before Wait only, so the
// group cannot be another's yet; a group that is gone is no error.
func (c *child) kill() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) }

// resident gives the resident bytes of a process, 0 when they are not known.
func resident(pid int) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// cpuTime gives what a process has had of all processors, 0 when it is not known.
func cpuTime(pid int) time.Duration {
	// CPUCLOCK_SCHED of another process, as clock_getcpuclockid(3) makes it.
	clock := int32(^pid<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// ofCPU says what a child had that used up its CPU time.
func ofCPU(limits Limits) string { return fmt.Sprintf("%v of CPU time", limits.CPU) }

// postMortem says why there is no answer.
func (c *child) postMortem(req *request, readErr, waitErr error) diag.Diagnostic {
	where := diag.Range{File: soleFile(req.Files, c.dir)}
	subject := "the evaluation of the mesh"
	if where.File != "" && where.File == c.dir {
		subject = fmt.Sprintf("the reading of %q", c.dir)
	} else if c.dir != "" {
		subject = fmt.Sprintf("the evaluation of directory %q", c.dir)
	}
	var d diag.Diagnostic
	switch reason := c.stopped.Load(); {
	case reason != nil:
		d = diag.New(diag.EvaluationLimit, where, "%s exceeded %s", subject, *reason)
	case c.cpuTime() >= c.limits.CPU-time.Second/2:
		d = diag.New(diag.EvaluationLimit, where, "%s exceeded %s", subject, ofCPU(c.limits))
	case c.stderr.contains("stack exceeds", "stack overflow"):
		d = diag.New(diag.EvaluationLimit, where, "%s exceeded the depth of the stack", subject)
	case c.stderr.contains("out of memory"):
		d = diag.New(diag.EvaluationLimit, where, "%s exceeded the memory of the machine", subject)
	default:
		d = diag.New(diag.EvaluationCrash, where, "%s failed: %v, %v: %s", subject, readErr, waitErr, c.stderr.String())
	}
	return d
}

// cpuTime of a child that has been waited for.
func (c *child) cpuTime() time.Duration {
	s := c.cmd.ProcessState
	if s == nil {
		return 0
	}
	return s.UserTime() + s.SystemTime()
}

// soleFile gives the only file of a directory, "" when there are several: then
// it is not known which of them is to blame. A file gives itself.
func soleFile(files []file, dir string) string {
	found := ""
	for _, f := range files {
		if f.Path == dir {
			return dir
		}
		if path.Dir(f.Path) != dir || !isIntentFile(f.Path) {
			continue
		}
		if found != "" {
			return ""
		}
		found = f.Path
	}
	return found
}

// head keeps the beginning of what is written to it: a crash says first what
// it is.
type head struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := maxStderr - h.buf.Len(); room > 0 {
		h.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.TrimSpace(h.buf.String())
}

func (h *head) contains(any ...string) bool {
	text := h.String()
	for _, s := range any {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}
