package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Command is one program to keep running.
type Command struct {
	Name string   // unique; also the name of its log file
	Path string   // absolute
	Args []string // without the program's name
	Env  []string // KEY=value, added to the environment
	// Grace is how long a stop waits after SIGTERM before SIGKILL.
	Grace time.Duration
	// Sockets that the program makes. It removes them itself, unless it was
	// killed: a stop removes what is left.
	Sockets []string
}

func (c *Command) equal(o *Command) bool {
	return c.Path == o.Path && slices.Equal(c.Args, o.Args) && slices.Equal(c.Env, o.Env)
}

// Supervisor keeps commands running: one that ends is started again, after a
// pause that grows while it keeps failing.
type Supervisor struct {
	logs   string // directory of log files
	report func(format string, args ...any)

	mu    sync.Mutex
	procs map[string]*process
}

// NewSupervisor keeps the output of each command in a file below logs and
// tells report of unexpected ends.
func NewSupervisor(logs string, report func(string, ...any)) *Supervisor {
	return &Supervisor{logs: logs, report: report, procs: map[string]*process{}}
}

// process is one command and the goroutine that keeps it running.
type process struct {
	cmd    *Command
	cancel context.CancelFunc
	done   chan struct{}

	mu  sync.Mutex
	pid int
}

// Run starts c, or replaces the command of that name if it differs. It returns
// when the program has been started once.
func (s *Supervisor) Run(c *Command) error {
	s.mu.Lock()
	old := s.procs[c.Name]
	s.mu.Unlock()
	if old != nil {
		if old.cmd.equal(c) {
			return nil
		}
		s.Stop(c.Name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{cmd: c, cancel: cancel, done: make(chan struct{})}
	started := make(chan error, 1)
	go s.keep(ctx, p, started)
	if err := <-started; err != nil {
		cancel()
		<-p.done
		return fmt.Errorf("start %s: %w", c.Name, err)
	}
	s.mu.Lock()
	s.procs[c.Name] = p
	s.mu.Unlock()
	return nil
}

// Names of the commands that are kept running, sorted.
func (s *Supervisor) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for n := range s.procs {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Pid of the running program, 0 when it is down.
func (s *Supervisor) Pid(name string) int {
	s.mu.Lock()
	p := s.procs[name]
	s.mu.Unlock()
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

// Stop ends the named commands together and waits for them.
func (s *Supervisor) Stop(names ...string) {
	var ending []*process
	s.mu.Lock()
	for _, n := range names {
		if p := s.procs[n]; p != nil {
			ending = append(ending, p)
			delete(s.procs, n)
		}
	}
	s.mu.Unlock()
	for _, p := range ending {
		p.cancel()
	}
	for _, p := range ending {
		<-p.done
	}
}

const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
	// steady is how long a program must run for its next end to count as the
	// first one again.
	steady = 10 * time.Second
)

// keep runs p until ctx ends. It stays on one thread for its whole life:
// the kernel kills the child when the thread that started it ends (PDEATHSIG),
// which is what leaves nothing behind if this process is killed.
func (s *Supervisor) keep(ctx context.Context, p *process, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	defer s.removeSockets(p.cmd)
	pause := firstPause
	for first := true; ctx.Err() == nil; first = false {
		begin := time.Now()
		err := s.runOnce(ctx, p, func(startErr error) {
			if first {
				started <- startErr
			}
		})
		if ctx.Err() != nil {
			return
		}
		s.report("%s ended: %v; see %s", p.cmd.Name, err, s.logFile(p.cmd.Name))
		if time.Since(begin) > steady {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longPause)
	}
}

func (s *Supervisor) removeSockets(c *Command) {
	for _, path := range c.Sockets {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.report("%v", err)
		}
	}
}

func (s *Supervisor) logFile(name string) string { return filepath.Join(s.logs, name+".log") }

// runOnce starts the program, calls started with the outcome, and waits for it
// to end; when ctx ends it gets SIGTERM and, after its grace, SIGKILL.
func (s *Supervisor) runOnce(ctx context.Context, p *process, started func(error)) error {
	log, err := os.OpenFile(s.logFile(p.cmd.Name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		started(err)
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.cmd.Path, p.cmd.Args...)
	cmd.Env = append(os.Environ(), p.cmd.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	// Its own process group: Ctrl-C in a terminal reaches meshc alone, which
	// then ends the programs in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		started(err)
		return err
	}
	p.setPid(cmd.Process.Pid)
	started(nil)
	ended := make(chan struct{})
	go terminate(ctx, cmd.Process, p.cmd.Grace, ended)
	err = cmd.Wait()
	close(ended)
	signalGroup(cmd.Process.Pid, syscall.SIGKILL) // what it left behind would hold its ports
	p.setPid(0)
	if err == nil {
		err = errors.New("exit status 0")
	}
	return err
}

func (p *process) setPid(pid int) {
	p.mu.Lock()
	p.pid = pid
	p.mu.Unlock()
}

func terminate(ctx context.Context, p *os.Process, grace time.Duration, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	signalGroup(p.Pid, syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(max(grace, time.Second)):
		signalGroup(p.Pid, syscall.SIGKILL)
	}
}

// signalGroup reaches a program and what it started, such as what a shell
// runs. A group that is gone is no error.
func signalGroup(leader int, s syscall.Signal) { _ = syscall.Kill(-leader, s) }
