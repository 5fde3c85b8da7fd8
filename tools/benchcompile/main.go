// Command benchcompile measures what vetting and compiling a mesh costs beside
// stock cue on the same tree: CPU time, wall time and peak resident memory for
// several sizes, the exponent of growth, and a change of one service: from a
// process that has a cache only, and in a session. Raw output is kept below
// docs/evidence/bench-compile.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler/load"
)

func main() {
	load.MaybeRunChild()
	sizes := flag.String("services", "100,1000,10000", "sizes, separated by commas")
	evidence := flag.String("evidence", "docs/evidence/bench-compile", "directory for the raw output")
	only := flag.String("only", "", "measure only the commands that this expression matches, \"session\" among them")
	dir := flag.String("session", "", "measure a session on the mesh in this directory, in this process, and print it as JSON")
	flag.Parse()
	b := &bench{}
	var err error
	if b.only, err = regexp.Compile(*only); err != nil {
		fmt.Fprintln(os.Stderr, "benchcompile:", err)
		os.Exit(2)
	}
	run := func() error { return b.run(strings.Split(*sizes, ","), *evidence) }
	if *dir != "" {
		run = func() error { return runSession(*dir) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchcompile:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	dir    string
	only   *regexp.Regexp // commands to measure
	raw    strings.Builder
	points map[string][]point // by command
	order  []string           // of commands
	commit string             // at the start: others may go on meanwhile
}

// point is one measurement. The memory is that of the largest process.
type point struct {
	services  int
	wall, cpu time.Duration
	rss       int64 // bytes
}

func (b *bench) run(sizes []string, evidence string) error {
	b.points, b.commit = map[string][]point{}, commit()
	var err error
	if b.dir, err = os.MkdirTemp("", "meshc-benchcompile-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.say("commit %s, %s", b.commit, machine())
	b.say("%-10s %-28s %9s %9s %9s", "services", "command", "wall s", "CPU s", "RSS MiB")
	for _, size := range sizes {
		n, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		if err := b.size(n); err != nil {
			return err
		}
	}
	b.exponents()
	b.absent()
	return b.keep(evidence)
}

// size measures one mesh.
func (b *bench) size(n int) error {
	tree, out, kept := b.path("mesh", n), b.path("out", n), b.path("cache", n)
	meshc, err := filepath.Abs(filepath.Join("bin", "meshc"))
	if err != nil {
		return err
	}
	if err := exec.Command(filepath.Join("bin", "genmesh"), "-services", strconv.Itoa(n), "-out", tree).Run(); err != nil {
		return fmt.Errorf("genmesh (make build makes it): %w", err)
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"cue vet -c ./...", []string{"cue", "vet", "-c", "./..."}},
		{"cue export ./...", []string{"cue", "export", "./..."}},
		{"meshc vet", []string{meshc, "vet", "."}},
		{"meshc vet, filling cache", []string{meshc, "vet", ".", "--cache", kept}},
		{"meshc compile", []string{meshc, "compile", ".", "--out", out}},
		{"meshc compile, filling cache", []string{meshc, "compile", ".", "--out", out, "--cache", kept}},
	} {
		if err := b.measure(n, c.name, tree, c.args...); err != nil {
			return err
		}
	}
	if err := change(tree, true); err != nil {
		return err
	}
	if err := b.measure(n, "meshc compile, one change", tree, meshc, "compile", ".", "--out", out, "--cache", kept); err != nil {
		return err
	}
	if err := change(tree, false); err != nil {
		return err
	}
	if err := b.measure(n, "meshc vet, one change", tree, meshc, "vet", ".", "--cache", kept); err != nil {
		return err
	}
	if !b.only.MatchString("session") {
		return nil
	}
	return b.session(n, tree)
}

func (b *bench) path(what string, n int) string {
	return filepath.Join(b.dir, what+strconv.Itoa(n))
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

func (b *bench) measure(n int, name, dir string, args ...string) error {
	if !b.only.MatchString(name) {
		return nil
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return fmt.Errorf("%s on %d services: %w\n%.2000s", name, n, err, stderr.String())
	}
	p := point{services: n, wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		p.rss = usage.Maxrss << 10
	}
	b.add(name, p)
	return nil
}

func (b *bench) add(name string, p point) {
	if b.points[name] == nil {
		b.order = append(b.order, name)
	}
	b.points[name] = append(b.points[name], p)
	b.say("%-10d %-28s %9.3f %9.3f %9d", p.services, name, p.wall.Seconds(), p.cpu.Seconds(), p.rss>>20)
}

// exponents fits CPU time to services^e by least squares of the logarithms.
func (b *bench) exponents() {
	for _, name := range b.order {
		points := b.points[name]
		if len(points) < 2 {
			continue
		}
		var x, y, xx, xy float64
		for _, p := range points {
			lx, ly := math.Log(float64(p.services)), math.Log(p.cpu.Seconds())
			x, y, xx, xy = x+lx, y+ly, xx+lx*lx, xy+lx*ly
		}
		n := float64(len(points))
		b.say("CPU time of %s grows with services^%.2f", name, (n*xy-x*y)/(n*xx-x*x))
	}
}

// absent names the peers that are not measured.
func (b *bench) absent() {
	for _, tool := range []string{"istioctl", "egctl"} {
		if _, err := exec.LookPath(tool); errors.Is(err, exec.ErrNotFound) {
			b.say("%s is not installed and not measured", tool)
		} else {
			b.say("%s is installed, and reads YAML that this bench does not write: not measured", tool)
		}
	}
}

func (b *bench) say(format string, args ...any) {
	line := fmt.Sprintf(format+"\n", args...)
	fmt.Print(line)
	b.raw.WriteString(line)
}

func (b *bench) keep(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, b.commit+".txt"), []byte(b.raw.String()), 0o644)
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// machine says where the figures come from, and how busy it was.
func machine() string {
	system, _ := exec.Command("uname", "-srm").Output()
	load, _ := os.ReadFile("/proc/loadavg")
	info, _ := os.ReadFile("/proc/cpuinfo")
	cpu := ""
	cores := 0
	for line := range strings.Lines(string(info)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			cpu, cores = strings.TrimSpace(v), cores+1
		}
	}
	return fmt.Sprintf("%s, %d × %s, load before %s", strings.TrimSpace(string(system)), cores,
		cmp.Or(cpu, "unknown CPU"), strings.TrimSpace(string(load)))
}
