package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/tools/cost"
)

// runs is how often something short is measured; the least CPU time counts,
// since what else the machine does only adds.
const runs = 5

// measureHere prints what is asked for.
func measureHere(what, dir string) error {
	compiler.SaveMemory()
	var out any
	var err error
	switch what {
	case "models":
		out, err = measureModels(dir)
	case "warm":
		out, err = measureWarm(dir)
	default:
		err = fmt.Errorf("nothing is called %q", what)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// models is what differences of two models cost that share nothing and were never
// compared, and what it takes to make the models.
type models struct{ Compiled, One, All cost.Sample }

func measureModels(dir string) (*models, error) {
	out := &models{}
	var before, after *model.Mesh
	var err error
	out.Compiled = cost.Call(func() {
		if before, err = compiled(new(compiler.Session), dir); err == nil {
			after, err = compiled(new(compiler.Session), dir)
		}
	})
	if err != nil {
		return nil, err
	}
	for i := range runs {
		rest(after.Services[0]).Timeout += time.Second
		var r *behave.Report
		s := cost.Call(func() { r = behave.Meshes(before, after) })
		if r.Equal() || r.Unknown() {
			return nil, errors.New("the change is not seen")
		}
		least(&out.One, s, i)
	}
	for _, s := range after.Services[1:] {
		rest(s).Timeout += time.Second
	}
	var r *behave.Report
	out.All = cost.Call(func() { r = behave.Meshes(before, after) })
	// To a service that lets nobody in, a timeout is no matter.
	if r.Compared < len(after.Services) || len(r.Objects)*2 < r.Compared || r.Unknown() {
		return nil, fmt.Errorf("%d objects differ of %d that were compared", len(r.Objects), r.Compared)
	}
	return out, nil
}

// rest is the last route of a service.
func rest(s *model.Service) *model.Route { return s.Routes[len(s.Routes)-1] }

// least keeps the sample that took the least CPU time.
func least(kept *cost.Sample, now cost.Sample, run int) {
	if run == 0 || now.CPU < kept.CPU {
		*kept = now
	}
}

// warm is what a difference costs where the base is there and the head was
// compiled before the change.
type warm struct{ Whole, Diff cost.Sample }

// measureWarm makes and undoes a change of one service in a session.
func measureWarm(dir string) (*warm, error) {
	before, err := compiled(new(compiler.Session), dir)
	if err != nil {
		return nil, err
	}
	session := new(compiler.Session) // which shares nothing with the one before
	if _, err := compiled(session, dir); err != nil {
		return nil, err
	}
	out := &warm{}
	for i := range runs {
		if err := cost.Change(dir, true); err != nil {
			return nil, err
		}
		if err := out.changed(session, before, dir, i); err != nil {
			return nil, err
		}
		if err := cost.Change(dir, false); err != nil {
			return nil, err
		}
		if _, err := compiled(session, dir); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// changed compiles what was changed and compares it with the base.
func (w *warm) changed(session *compiler.Session, before *model.Mesh, dir string, run int) error {
	var after *model.Mesh
	var err error
	whole := cost.Call(func() { after, err = compiled(session, dir) })
	if err != nil {
		return err
	}
	var r *behave.Report
	diff := cost.Call(func() { r = behave.Meshes(before, after) })
	if r.Equal() || r.Unknown() {
		return fmt.Errorf("run %d: the change is not seen", run)
	}
	whole.Add(diff)
	least(&w.Whole, whole, run)
	least(&w.Diff, diff, run)
	return nil
}

func compiled(session *compiler.Session, dir string) (*model.Mesh, error) {
	res, err := session.Compile(context.Background(), os.DirFS(dir), compiler.Options{Now: time.Now(), Load: load.Options{
		Limits: load.Limits{Wall: 5 * time.Minute}, // the machine may be busy
	}})
	if err == nil && res.Model == nil {
		err = errors.New("the mesh is not sound")
	}
	if err != nil {
		return nil, err
	}
	return res.Model, nil
}
