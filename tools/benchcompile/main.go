// Command benchcompile measures what vetting and compiling a mesh costs beside
// stock cue on the same tree: CPU time, wall time and peak resident memory for
// several sizes, the exponent of growth, and a change of one service: from a
// process that has a cache only, and in a session. Raw output is kept below
// docs/evidence/bench-compile.
package main

import (
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

	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/tools/cost"
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
	*cost.Record
	dir    string
	only   *regexp.Regexp     // commands to measure
	points map[string][]point // by command
	order  []string           // of commands
}

// point is one measurement.
type point struct {
	services int
	cost.Sample
}

func (b *bench) run(sizes []string, evidence string) error {
	b.points = map[string][]point{}
	var err error
	if b.dir, err = os.MkdirTemp("", "meshc-benchcompile-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.Record = cost.Begin()
	b.Head()
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
	return b.Keep(evidence)
}

// size measures one mesh.
func (b *bench) size(n int) error {
	tree, out, kept := b.path("mesh", n), b.path("out", n), b.path("cache", n)
	meshc, err := filepath.Abs(filepath.Join("bin", "meshc"))
	if err != nil {
		return err
	}
	if err := cost.Mesh(n, tree); err != nil {
		return err
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
	for _, c := range []struct {
		name string
		args []string
	}{
		{"meshc compile, one change", []string{meshc, "compile", ".", "--out", out, "--cache", kept}},
		{"meshc vet, one change", []string{meshc, "vet", ".", "--cache", kept}},
	} {
		if err := b.changes(n, c.name, tree, c.args...); err != nil {
			return err
		}
	}
	if !b.only.MatchString("session") {
		return nil
	}
	return b.session(n, tree)
}

func (b *bench) path(what string, n int) string {
	return filepath.Join(b.dir, what+strconv.Itoa(n))
}

// changeRuns is how often a change is made for a process that finds a cache; the
// fastest is taken, since what else the machine does only adds.
const changeRuns = 6

// changes measures a command on a mesh of which one service has changed since the
// command ran last.
func (b *bench) changes(n int, name, dir string, args ...string) error {
	if !b.only.MatchString(name) {
		return nil
	}
	var best cost.Sample
	for i := range changeRuns {
		if err := cost.Change(dir, i%2 == 0); err != nil {
			return err
		}
		s, err := once(n, name, dir, args...)
		if err != nil {
			return err
		}
		if i == 0 || s.Wall < best.Wall {
			best = s
		}
	}
	b.add(n, name, best)
	return nil
}

func (b *bench) measure(n int, name, dir string, args ...string) error {
	if !b.only.MatchString(name) {
		return nil
	}
	s, err := once(n, name, dir, args...)
	if err == nil {
		b.add(n, name, s)
	}
	return err
}

// once measures one run of a command.
func once(n int, name, dir string, args ...string) (cost.Sample, error) {
	s, err := cost.Command(dir, args[0], args[1:]...)
	if err != nil {
		err = fmt.Errorf("%s on %d services: %w", name, n, err)
	}
	return s, err
}

func (b *bench) add(services int, name string, s cost.Sample) {
	if b.points[name] == nil {
		b.order = append(b.order, name)
	}
	b.points[name] = append(b.points[name], point{services, s})
	b.Row(services, name, s)
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
			lx, ly := math.Log(float64(p.services)), math.Log(p.CPU.Seconds())
			x, y, xx, xy = x+lx, y+ly, xx+lx*lx, xy+lx*ly
		}
		n := float64(len(points))
		b.Say("CPU time of %s grows with services^%.2f", name, (n*xy-x*y)/(n*xx-x*x))
	}
}

// absent names the peers that are not measured.
func (b *bench) absent() {
	for _, tool := range []string{"istioctl", "egctl"} {
		if _, err := exec.LookPath(tool); errors.Is(err, exec.ErrNotFound) {
			b.Say("%s is not installed and not measured", tool)
		} else {
			b.Say("%s is installed, and reads YAML that this bench does not write: not measured", tool)
		}
	}
}
