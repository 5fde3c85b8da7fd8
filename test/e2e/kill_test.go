package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshc/meshc/test/soak"
)

func (m *mesh) signal(pid int, sig syscall.Signal) {
	m.t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		m.t.Fatalf("signal %v to %d: %v", sig, pid, err)
	}
}

// The control plane may die at any moment: requests do not notice, and what
// was committed meanwhile is on every proxy once it is back.
func TestControllerKilledUnderLoad(t *testing.T) {
	m := started(t)
	users := m.traffic(4)
	rng := rand.New(rand.NewPCG(1, 2))
	var report strings.Builder
	for i := range long(100, 4) {
		change := reviews(3, fmt.Sprintf("{v1: %d, v3: %d}", 1+i%98, 99-i%98))
		old, begin := m.pid("controller"), time.Now()
		var commit, when string
		if i%2 == 0 {
			when = "before the commit"
			m.signal(m.up.Process.Pid, syscall.SIGSTOP) // its supervisor is held, so that it stays away
			m.signal(old, syscall.SIGKILL)
			commit = m.write(change)
			users.more(100)
			m.signal(m.up.Process.Pid, syscall.SIGCONT)
		} else {
			pause := time.Duration(rng.IntN(500)) * time.Millisecond
			when = fmt.Sprintf("%v after the commit", pause)
			commit = m.write(change)
			time.Sleep(pause)
			m.signal(old, syscall.SIGKILL)
		}
		m.eventually("another controller has the commit on every proxy", func() error {
			s := m.status()
			if s.Controller.PID == old || s.Programmed.Commit != commit || s.Programmed.Done != 7 || s.Programmed.Total != 7 {
				return fmt.Errorf("controller %d has %.8s on %d/%d", s.Controller.PID, s.Programmed.Commit, s.Programmed.Done, s.Programmed.Total)
			}
			return nil
		})
		fmt.Fprintf(&report, "kill %d, %s: programmed 7/7 after %v\n", i+1, when, time.Since(begin).Round(time.Millisecond))
	}
	fmt.Fprintf(&report, "requests: %d\n", users.end())
	t.Log("\n" + report.String())
}

// restartLimit is how soon a proxy must serve from its last good configuration.
const restartLimit = time.Second

// A proxy that dies while the control plane is away serves again from what it
// has kept: configuration and identity.
func TestProxyRestartsWithoutControlPlane(t *testing.T) {
	m := started(t)
	m.programmed(m.write(reviews(3, "v3: 100")), 7)
	controller := m.pid("controller")
	m.signal(m.up.Process.Pid, syscall.SIGSTOP) // nobody restarts anything
	m.signal(controller, syscall.SIGKILL)
	var report strings.Builder
	for _, name := range []string{"gateway-ingress-0", "sidecar-productpage-v1-0", "sidecar-reviews-v3-0"} {
		again := m.restart(name)
		took := again.firstAnswer(m)
		fmt.Fprintf(&report, "%s: first 200 %v after exec\n", name, took.Round(time.Millisecond))
		if took > soak.Within(restartLimit) {
			t.Errorf("%s served only after %v", name, took)
		}
		defer again.stop()
	}
	users := m.traffic(2)
	users.more(200)
	if n := users.end(); users.Version("v3") != n {
		t.Errorf("%d of %d requests went to v3: the last good configuration is another one", users.Version("v3"), n)
	}
	t.Log("\n" + report.String())
}

// byHand is a proxy that the test started with the command line of one that
// it killed.
type byHand struct {
	m     *mesh
	cmd   *exec.Cmd
	begin time.Time
}

func (m *mesh) restart(name string) *byHand {
	m.t.Helper()
	pid := m.pid(name)
	proc := filepath.Join("/proc", fmt.Sprint(pid))
	args, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if err != nil {
		m.t.Fatal(err)
	}
	env, err := os.ReadFile(filepath.Join(proc, "environ"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.signal(pid, syscall.SIGKILL)
	m.eventually(name+" is dead", func() error {
		return ended(proc)
	})
	argv := strings.Split(strings.TrimSuffix(string(args), "\x00"), "\x00")
	b := &byHand{m: m, cmd: exec.Command(argv[0], argv[1:]...)}
	b.cmd.Env = strings.Split(strings.TrimSuffix(string(env), "\x00"), "\x00")
	b.cmd.Stderr = &m.out
	b.begin = time.Now()
	if err := b.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(b.stop)
	return b
}

// ended says that all threads of a process are gone, and with them its sockets:
// its parent, which is stopped, has yet to take note.
func ended(proc string) error {
	threads, err := os.ReadDir(filepath.Join(proc, "task"))
	if err != nil {
		return nil
	}
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return nil
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	if len(threads) > 1 || !strings.HasPrefix(state, "Z") {
		return fmt.Errorf("%s still runs", proc)
	}
	return nil
}

// firstAnswer gives the time from exec to the first page through it.
func (b *byHand) firstAnswer(m *mesh) time.Duration {
	m.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
	for time.Since(b.begin) < time.Minute {
		resp, err := client.Get("http://" + m.Gateway + "/api/v1/products/0")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return time.Since(b.begin)
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	m.t.Fatalf("no answer within a minute of the restart")
	return 0
}

// stop ends the proxy and lets the supervisor go on.
func (b *byHand) stop() {
	if b.cmd.ProcessState == nil {
		_ = b.cmd.Process.Signal(syscall.SIGTERM)
		_ = b.cmd.Wait()
	}
	_ = syscall.Kill(b.m.up.Process.Pid, syscall.SIGCONT)
}
