package benchreconcile

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is a running controller. The kernel ends it with the thread that started it.
type program struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  output
}

func launch(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(filepath.Join(bin, "meshc-controller"), args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		defer close(p.done)
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // it is killed
		}
	}()
	must(t, <-started)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may be gone already
		<-p.done
		if t.Failed() {
			t.Logf("%s", p.log.tail(4<<10))
		}
	})
	return p
}

// resident reads memory of the process, in bytes: VmRSS now, VmHWM the most so far.
func (p *program) resident(t *testing.T, field string) int64 {
	t.Helper()
	n, err := memory(p.cmd.Process.Pid, field)
	must(t, err)
	return n
}

func memory(pid int, field string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if k, v, _ := strings.Cut(line, ":"); k == field {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no %s", pid, field)
}

// watchTree gives the most memory that the program and the processes that it starts
// have had together, looked at often until stop.
func (p *program) watchTree() (stop func() int64) {
	end, most := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				peak = max(peak, tree(p.cmd.Process.Pid))
			case <-end:
				most <- peak
				return
			}
		}
	}()
	return func() int64 { close(end); return <-most }
}

// tree is the memory of a process and its children, 0 of those that have gone.
func tree(pid int) int64 {
	total, _ := memory(pid, "VmRSS")
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range tasks {
		children, _ := os.ReadFile(file)
		for _, child := range strings.Fields(string(children)) {
			if n, err := strconv.Atoi(child); err == nil {
				total += tree(n)
			}
		}
	}
	return total
}

// output keeps what a program writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) tail(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.b.Bytes()
	return string(b[max(0, len(b)-n):])
}
