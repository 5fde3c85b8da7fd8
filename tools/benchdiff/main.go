// Command benchdiff measures what the difference of two meshes in behaviour
// costs, with 20 routes a service: from CUE beside stock cue on both trees, from
// two models, and warm, where the base is compiled and one service of the head
// is changed and compiled again. Raw output is kept below docs/evidence/bench-diff.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler/load"
)

// routes of a service.
const routes = 20

func main() {
	load.MaybeRunChild()
	sizes := flag.String("services", "100,1000,10000", "sizes, separated by commas")
	evidence := flag.String("evidence", "docs/evidence/bench-diff", "directory for the raw output")
	dir := flag.String("models", "", "measure differences of models of the mesh in this directory, in this process, and print them as JSON")
	flag.Parse()
	b := &bench{}
	run := func() error { return b.run(strings.Split(*sizes, ","), *evidence) }
	if *dir != "" {
		run = func() error { return runModels(*dir) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchdiff:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	raw strings.Builder
	dir string
}

func (b *bench) say(format string, args ...any) {
	line := fmt.Sprintf(format+"\n", args...)
	fmt.Print(line)
	b.raw.WriteString(line)
}

func (b *bench) run(sizes []string, evidence string) error {
	var err error
	if b.dir, err = os.MkdirTemp("", "meshc-benchdiff-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	commit := output("git", "rev-parse", "--short=12", "HEAD")
	b.say("commit %s, %s, load before %s", commit, output("uname", "-srm"), output("cat", "/proc/loadavg"))
	b.say("%-9s %-40s %9s %9s %9s", "services", "what", "wall s", "CPU s", "RSS MiB")
	for _, size := range sizes {
		n, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		if err := b.size(n); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(evidence, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(evidence, commit+".txt"), []byte(b.raw.String()), 0o644)
}

// size measures one mesh.
func (b *bench) size(n int) error {
	base, head := filepath.Join(b.dir, "base"+strconv.Itoa(n)), filepath.Join(b.dir, "head"+strconv.Itoa(n))
	for _, dir := range []string{base, head} {
		if err := exec.Command(filepath.Join("bin", "genmesh"), "-services", strconv.Itoa(n), "-routes", strconv.Itoa(routes), "-out", dir).Run(); err != nil {
			return fmt.Errorf("genmesh (make build makes it): %w", err)
		}
	}
	if err := change(head, true); err != nil {
		return err
	}
	meshc, err := filepath.Abs(filepath.Join("bin", "meshc"))
	if err != nil {
		return err
	}
	exported, err := measure(base, "cue", "export", "./...")
	if err != nil {
		return err
	}
	second, err := measure(head, "cue", "export", "./...")
	if err != nil {
		return err
	}
	exported.add(second)
	b.row(n, "cue export ./... of both trees", exported)
	cold, err := measure(b.dir, meshc, "diff", "--exit-code=false", base, head)
	if err != nil {
		return err
	}
	b.row(n, "meshc diff of both trees, from CUE", cold)
	b.say("%-9d from CUE at %.2f of the CPU time of cue export, and %.2f of its wall time", n, cold.CPU.Seconds()/exported.CPU.Seconds(), cold.Wall.Seconds()/exported.Wall.Seconds())
	self, err := os.Executable()
	if err != nil {
		return err
	}
	raw, err := exec.Command(self, "-models", base).Output()
	if err != nil {
		return fmt.Errorf("-models: %w", err)
	}
	var in models
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	b.row(n, "of two models, one service changed", in.One)
	b.row(n, "of two models, every service changed", in.All)
	b.row(n, "warm: one service changed and compiled", in.Warm)
	b.row(n, "  of that, the difference", in.WarmDiff)
	b.say("%-9d every service changed: %.2f ms of CPU time a service", n, float64(in.All.CPU.Microseconds())/1000/float64(n))
	return nil
}

// sample is one measurement. Memory is the most that the process had.
type sample struct {
	Wall, CPU time.Duration
	RSS       int64 // bytes
}

func (s *sample) add(o sample) {
	s.Wall, s.CPU, s.RSS = s.Wall+o.Wall, s.CPU+o.CPU, max(s.RSS, o.RSS)
}

func (b *bench) row(n int, what string, s sample) {
	b.say("%-9d %-40s %9.3f %9.3f %9d", n, what, s.Wall.Seconds(), s.CPU.Seconds(), s.RSS>>20)
}

func measure(dir, name string, args ...string) (sample, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%.2000s", name, err, stderr.String())
	}
	out := sample{Wall: time.Since(start), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		out.RSS = usage.Maxrss << 10
	}
	return out, nil
}

// change gives one service another timeout, or its own again.
func change(tree string, another bool) error {
	from, to := []byte(`timeout: "5s"`), []byte(`timeout: "6s"`)
	if !another {
		from, to = to, from
	}
	name := filepath.Join(tree, "prod", "team-0000", "svc-00002.cue")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	changed := bytes.Replace(text, from, to, 1)
	if bytes.Equal(text, changed) {
		return fmt.Errorf("%s has no timeout to change", name)
	}
	return os.WriteFile(name, changed, 0o644)
}

func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
