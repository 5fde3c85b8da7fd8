package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/tools/cost"
)

// warm is what a session takes for the second state of a mesh, as the process
// that holds it reports it.
type warm struct{ First, Same, Change cost.Sample }

// sessionRuns is how often a change is made; the fastest is taken, since what
// else the machine does only adds.
const sessionRuns = 5

// runSession compiles the mesh in dir again and again in one process: from
// nothing, the same again, and with one service changed. It prints a warm.
func runSession(dir string) error {
	compiler.SaveMemory()
	var out warm
	session := new(compiler.Session)
	compile := func() (s cost.Sample, err error) {
		var res *compiler.Result
		s = cost.Call(func() {
			res, err = session.Compile(context.Background(), os.DirFS(dir), compiler.Options{Now: time.Now(), Load: load.Options{
				Limits: load.Limits{Wall: time.Minute}, // the machine may be busy
			}})
		})
		if err == nil && res.Model == nil {
			err = errors.New("the mesh is not sound")
		}
		return s, err
	}
	var err error
	if out.First, err = compile(); err != nil {
		return err
	}
	for i := range sessionRuns {
		same, err := compile()
		if err != nil {
			return err
		}
		if err := cost.Change(dir, i%2 == 0); err != nil {
			return err
		}
		changed, err := compile()
		if err != nil {
			return err
		}
		if i == 0 || same.CPU < out.Same.CPU {
			out.Same = same
		}
		if i == 0 || changed.CPU < out.Change.CPU {
			out.Change = changed
		}
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// session measures a session on a mesh in a process of its own.
func (b *bench) session(n int, tree string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-session", tree)
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("session on %d services: %w", n, err)
	}
	var w warm
	if err := json.Unmarshal(raw, &w); err != nil {
		return fmt.Errorf("session on %d services: %w", n, err)
	}
	for _, s := range []struct {
		name string
		cost.Sample
	}{{"session, first", w.First}, {"session, nothing changed", w.Same}, {"session, one change", w.Change}} {
		b.add(n, s.name, s.Sample)
	}
	return nil
}
