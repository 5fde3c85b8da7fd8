package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

// models is what differences of models cost, as the process that holds them
// reports it.
type models struct {
	One, All, Warm, WarmDiff sample
}

// runs is how often something short is measured; the least CPU time counts,
// since what else the machine does only adds.
const runs = 5

// runModels compares models of the mesh in dir, and makes and undoes a change of
// one service in a session. It prints models.
func runModels(dir string) error {
	before, err := compiled(new(compiler.Session), dir)
	if err != nil {
		return err
	}
	session := new(compiler.Session) // which shares nothing with the one before
	if _, err := compiled(session, dir); err != nil {
		return err
	}
	var out models
	for i := range runs {
		if err := change(dir, i%2 == 0); err != nil {
			return err
		}
		if err := out.warm(session, before, dir, i); err != nil {
			return err
		}
	}
	if err := out.every(before, dir); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// warm compiles what was changed and compares it with the base: where the
// change was undone, it is the first of the two that is changed.
func (m *models) warm(session *compiler.Session, before *model.Mesh, dir string, run int) error {
	var after *model.Mesh
	var err error
	whole := timed(func() { after, err = compiled(session, dir) })
	if err != nil {
		return err
	}
	var r *behave.Report
	diff := timed(func() { r = behave.Meshes(before, after) })
	if changed := run%2 == 0; r.Equal() == changed || r.Unknown() {
		return fmt.Errorf("run %d: changed %v, and %d objects differ", run, changed, len(r.Objects))
	}
	if run%2 != 0 {
		return nil
	}
	alone, err := cold(before, dir)
	if err != nil {
		return err
	}
	whole.add(diff)
	for _, s := range []struct {
		kept *sample
		now  sample
	}{{&m.Warm, whole}, {&m.WarmDiff, diff}, {&m.One, alone}} {
		if run == 0 || s.now.CPU < s.kept.CPU {
			*s.kept = s.now
		}
	}
	return nil
}

// cold is the difference from a model that shares nothing with the base and was
// never compared.
func cold(before *model.Mesh, dir string) (sample, error) {
	after, err := compiled(new(compiler.Session), dir)
	if err != nil {
		return sample{}, err
	}
	var r *behave.Report
	s := timed(func() { r = behave.Meshes(before, after) })
	if r.Equal() || r.Unknown() {
		return s, errors.New("the change is not seen")
	}
	return s, nil
}

// every changes all services.
func (m *models) every(before *model.Mesh, dir string) error {
	after, err := compiled(new(compiler.Session), dir)
	if err != nil {
		return err
	}
	for _, s := range after.Services {
		s.Routes[len(s.Routes)-1].Timeout += time.Second
	}
	var r *behave.Report
	m.All = timed(func() { r = behave.Meshes(before, after) })
	// To a service that lets nobody in, a timeout is no matter.
	if r.Compared < len(after.Services) || len(r.Objects)*2 < r.Compared || r.Unknown() {
		return fmt.Errorf("%d objects differ of %d that were compared", len(r.Objects), r.Compared)
	}
	return nil
}

func compiled(session *compiler.Session, dir string) (*model.Mesh, error) {
	res, err := session.Compile(context.Background(), os.DirFS(dir), compiler.Options{Now: time.Now()})
	if err == nil && res.Model == nil {
		err = errors.New("the mesh is not sound")
	}
	if err != nil {
		return nil, err
	}
	return res.Model, nil
}

// timed measures a call, with the most memory that the process has had so far.
func timed(call func()) sample {
	start, before := time.Now(), usage()
	call()
	after := usage()
	return sample{Wall: time.Since(start), CPU: cpu(after) - cpu(before), RSS: after.Maxrss << 10}
}

func usage() syscall.Rusage {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("benchdiff: getrusage: " + err.Error())
	}
	return u
}

func cpu(u syscall.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
