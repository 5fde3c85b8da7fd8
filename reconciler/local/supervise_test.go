package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// reports collects what a supervisor tells.
type reports struct {
	mu  sync.Mutex
	all []string
}

func (r *reports) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, fmt.Sprintf(format, args...))
}

func (r *reports) count(part string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.all {
		if strings.Contains(s, part) {
			n++
		}
	}
	return n
}

func supervisor(t *testing.T) (*Supervisor, *reports, string) {
	t.Helper()
	dir, r := t.TempDir(), &reports{}
	s := NewSupervisor(dir, r.note)
	t.Cleanup(func() { s.Stop(s.Names()...) })
	return s, r, dir
}

func shell(name, script string) *Command {
	return &Command{Name: name, Path: "/bin/sh", Args: []string{"-c", script}}
}

func mustRun(t *testing.T, s *Supervisor, c *Command) int {
	t.Helper()
	if err := s.Run(c); err != nil {
		t.Fatal(err)
	}
	return s.Pid(c.Name)
}

// A program that was killed leaves its socket behind; stopping it does not.
func TestStopLeavesNoSocket(t *testing.T) {
	s, _, _ := supervisor(t)
	path := filepath.Join(t.TempDir(), "admin.sock")
	c := shell("app", "exec sleep 1000")
	c.Sockets = []string{path}
	mustRun(t, s, c)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Stop("app")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// A program that ends is started again; each end is told, with its reason and
// where the output is.
func TestProgramThatEndsIsStartedAgain(t *testing.T) {
	s, r, dir := supervisor(t)
	c := shell("app", `echo once more; mkdir "$0" && exit 7; exec sleep 1000`)
	c.Args = append(c.Args, filepath.Join(dir, "second"))
	mustRun(t, s, c)
	eventually(t, "the program runs again", func() bool {
		raw, _ := os.ReadFile(filepath.Join(dir, "app.log"))
		return strings.Count(string(raw), "once more") >= 2
	})
	if r.count("app ended: exit status 7; see "+filepath.Join(dir, "app.log")) == 0 {
		t.Errorf("reports: %q", r.all)
	}
}

func TestSameCommandGoesOnAndAnotherReplacesIt(t *testing.T) {
	s, _, _ := supervisor(t)
	first := mustRun(t, s, shell("app", "exec sleep 1000"))
	if again := mustRun(t, s, shell("app", "exec sleep 1000")); again != first {
		t.Errorf("the same command was started again: %d, then %d", first, again)
	}
	second := mustRun(t, s, shell("app", "exec sleep 1001"))
	if second == first || !gone(first) {
		t.Errorf("%d was not replaced by %d", first, second)
	}
	withEnv := shell("app", "exec sleep 1001")
	withEnv.Env = []string{"A=b"}
	if third := mustRun(t, s, withEnv); third == second || !gone(second) {
		t.Error("another environment does not replace the program")
	}
}

func TestStopEndsWhatIsNamed(t *testing.T) {
	s, r, _ := supervisor(t)
	a := mustRun(t, s, shell("a", "exec sleep 1000"))
	b := mustRun(t, s, shell("b", "exec sleep 1000"))
	s.Stop("a", "nobody")
	if !gone(a) || gone(b) {
		t.Errorf("a gone: %v, b gone: %v", gone(a), gone(b))
	}
	if names := s.Names(); len(names) != 1 || names[0] != "b" || s.Pid("a") != 0 || s.Pid("b") != b {
		t.Errorf("names %v, pids %d and %d", names, s.Pid("a"), s.Pid("b"))
	}
	if r.count("ended") > 0 {
		t.Errorf("a stop is told as an end: %q", r.all)
	}
}

// What does not mind SIGTERM is killed after its grace, but no sooner.
func TestGrace(t *testing.T) {
	s, _, dir := supervisor(t)
	c := shell("app", `trap "" TERM; touch "$0.ready"; while :; do sleep 0.01; done`)
	c.Args = append(c.Args, filepath.Join(dir, "app"))
	c.Grace = 1200 * time.Millisecond
	pid := mustRun(t, s, c)
	eventually(t, "the trap is set", func() bool { _, err := os.Stat(filepath.Join(dir, "app.ready")); return err == nil })
	begin := time.Now()
	s.Stop("app")
	if took := time.Since(begin); took < c.Grace || !gone(pid) {
		t.Errorf("ended after %v, gone: %v", took, gone(pid))
	}
}

// A program that cannot be started is an error that names it, and nothing is
// kept of it.
func TestProgramThatCannotBeStarted(t *testing.T) {
	s, _, _ := supervisor(t)
	err := s.Run(&Command{Name: "app", Path: "/nowhere/app"})
	if err == nil || !strings.Contains(err.Error(), "start app: ") || !strings.Contains(err.Error(), "/nowhere/app") {
		t.Errorf("got %v", err)
	}
	if len(s.Names()) > 0 {
		t.Errorf("kept: %v", s.Names())
	}
}

// A program that keeps ending is not started in a tight loop.
func TestPauseGrows(t *testing.T) {
	s, r, _ := supervisor(t)
	begin := time.Now()
	mustRun(t, s, shell("app", "exit 1"))
	eventually(t, "three ends", func() bool { return r.count("app ended") >= 3 })
	if took := time.Since(begin); took < firstPause+2*firstPause-10*time.Millisecond {
		t.Errorf("three ends within %v", took)
	}
}
