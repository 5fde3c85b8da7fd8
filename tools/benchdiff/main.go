// Command benchdiff measures what the difference of two meshes in behaviour
// costs, with 20 routes a service: from CUE beside stock cue on both trees, from
// two models, and warm, where the base is compiled and one service of the head
// is changed and compiled again. Raw output is kept below docs/evidence/bench-diff.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/tools/cost"
)

// routes of a service.
const routes = 20

func main() {
	load.MaybeRunChild()
	sizes := flag.String("services", "100,1000,10000", "sizes, separated by commas")
	evidence := flag.String("evidence", "docs/evidence/bench-diff", "directory for the raw output")
	beside := flag.Int("cue", 1000, "the largest size to measure stock cue on: it takes more than a MiB of memory a service")
	what := flag.String("measure", "", "measure models or warm in the directory that is the argument, in this process, and print JSON")
	flag.Parse()
	b := &bench{beside: *beside}
	run := func() error { return b.run(strings.Split(*sizes, ","), *evidence) }
	if *what != "" {
		run = func() error { return measureHere(*what, flag.Arg(0)) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchdiff:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	*cost.Record
	dir    string
	beside int // services
}

func (b *bench) run(sizes []string, evidence string) error {
	var err error
	if b.dir, err = os.MkdirTemp("", "meshc-benchdiff-"); err != nil {
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
	return b.Keep(evidence)
}

// size measures one mesh.
func (b *bench) size(n int) error {
	base, head := filepath.Join(b.dir, "base"+strconv.Itoa(n)), filepath.Join(b.dir, "head"+strconv.Itoa(n))
	for _, dir := range []string{base, head} {
		if err := cost.Mesh(n, dir, "-routes", strconv.Itoa(routes)); err != nil {
			return err
		}
	}
	if err := cost.Change(head, true); err != nil {
		return err
	}
	if err := b.trees(n, base, head); err != nil {
		return err
	}
	var m models
	if err := measured("models", base, &m); err != nil {
		return err
	}
	b.Row(n, "to compile two models", m.Compiled)
	b.Row(n, "of two models, one service changed", m.One)
	b.Row(n, "of two models, every service changed", m.All)
	b.Say("%-9d every service changed: %.2f ms of CPU time a service", n, float64(m.All.CPU.Microseconds())/1000/float64(n))
	var w warm
	if err := measured("warm", base, &w); err != nil {
		return err
	}
	b.Row(n, "warm: one service changed and compiled", w.Whole)
	b.Row(n, "  of that, the difference", w.Diff)
	return nil
}

// trees measures a difference from CUE, beside cue where that is asked for.
func (b *bench) trees(n int, base, head string) error {
	meshc, err := filepath.Abs(filepath.Join("bin", "meshc"))
	if err != nil {
		return err
	}
	cold, err := cost.Command(b.dir, meshc, "diff", "--exit-code=false", base, head)
	if err != nil {
		return err
	}
	b.Row(n, "meshc diff of both trees, from CUE", cold)
	if n > b.beside {
		return nil
	}
	exported, err := cost.Command(base, "cue", "export", "./...")
	if err != nil {
		return err
	}
	second, err := cost.Command(head, "cue", "export", "./...")
	if err != nil {
		return err
	}
	exported.Add(second)
	b.Row(n, "cue export ./... of both trees", exported)
	b.Say("%-9d from CUE at %.2f of the CPU time of cue export, and %.2f of its wall time", n, cold.CPU.Seconds()/exported.CPU.Seconds(), cold.Wall.Seconds()/exported.Wall.Seconds())
	return nil
}

// measured runs this program to measure something in a process of its own.
func measured(what, dir string, into any) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-measure", what, dir)
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("-measure %s: %w", what, err)
	}
	return json.Unmarshal(raw, into)
}
