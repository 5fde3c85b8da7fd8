// Package compiler runs the stages of a compile in order: a tree of CUE goes
// in, the checked model comes out, or what is wrong with the tree.
package compiler

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/snapshot"
)

// Options of a compile.
type Options struct {
	// Now is the time against which ends of faults are judged; the zero time
	// means the present.
	Now time.Time
	// Dir selects a subtree, slash-separated and relative to the module root;
	// "" leaves the choice to Load.
	Dir string
	// Load is handed to load.
	Load load.Options
	// Snapshot is the recorded state of clusters that a mesh without errors is
	// held against; nil for none.
	Snapshot *snapshot.Snapshot
	// Past says that this is not the state of the mesh that will be edited next:
	// what a cache knows of that one is used, and left as it is.
	Past bool

	known *known // of a Session or a cache; nil for nothing
}

// Result of a compile. Model is nil when Diags holds errors; Intent is nil when
// the tree could not be read as intent.
type Result struct {
	Intent *intent.Mesh
	Model  *model.Mesh
	Diags  diag.List
	// Suppressed are the diagnostics that an @meshc attribute takes out of Diags.
	Suppressed []diag.Suppressed
	// Step says how Model differs from those that Options.Load.Cache has known; nil
	// where that is not known.
	Step *Step
}

// Compile loads, checks, lowers and checks again. Diagnostics, errors among
// them, are in the Result; the error is for what kept the compiler from
// judging at all, such as I/O. A panic in a stage becomes MSH9001.
func Compile(ctx context.Context, fsys fs.FS, opts Options) (*Result, error) {
	if opts.Dir != "" {
		opts.Load.Dir = opts.Dir
	}
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	if opts.Load.Cache != nil && opts.known == nil && !opts.Load.AllCUE {
		return cached(ctx, fsys, opts)
	}
	return compile(ctx, fsys, opts)
}

// cached compiles with what a cache knows of the last state of the mesh. Should
// that lead to a crash, the mesh is judged from nothing.
func cached(ctx context.Context, fsys fs.FS, opts Options) (*Result, error) {
	cache, dir := opts.Load.Cache, opts.Load.Dir
	s := stateFrom(cache, dir)
	var tables *check.Tables
	run := func() (*Result, error) {
		s.known.checks.Tables = func() *check.Tables {
			tables = tablesFrom(cache, dir)
			return tables
		}
		opts.known, opts.Load.Parts = &s.known, s.parts
		return compile(ctx, fsys, opts)
	}
	res, err := run()
	if err == nil && s.was != nil && res.crashed() {
		s = newState(cache, dir)
		res, err = run()
	}
	if err == nil && !res.crashed() && !opts.Past {
		res.Step = s.save(res.Model)
		if tables != nil {
			keepTables(cache, dir, tables)
		}
	}
	return res, err
}

func compile(ctx context.Context, fsys fs.FS, opts Options) (res *Result, err error) {
	res = &Result{}
	defer func() {
		if v := recover(); v != nil {
			res.Model = nil
			res.Diags.Add(crash(v))
			res.Diags.Sort()
		}
	}()
	in, diags, err := load.Mesh(ctx, fsys, opts.Load)
	if err != nil {
		return nil, fmt.Errorf("load mesh: %w", err)
	}
	res.Intent = in
	opts.known.unchanged(in)
	res.judge(diags, opts)
	load.ResolveFixes(fsys, res.Diags)
	res.Diags.Sort()
	res.Diags = res.Diags.Merge()
	return res, nil
}

// crashed says that a stage broke off: it may have left something half done.
func (res *Result) crashed() bool {
	return slices.ContainsFunc(res.Diags, func(d diag.Diagnostic) bool { return d.Code == diag.Internal })
}

// judge takes the diagnostics of load, runs the stages after it, and leaves out
// what the mesh suppresses.
func (res *Result) judge(loaded diag.List, opts Options) {
	var all []diag.Suppression
	if res.Intent != nil {
		all = res.Intent.Suppressions
	}
	sup := diag.NewSuppressor(all, opts.Now)
	res.Diags = append(sup.Filter(loaded), sup.Expired()...)
	if res.Intent != nil && !res.Diags.HasErrors() {
		res.lower(sup, opts)
	}
	res.Suppressed = sup.Taken
	if whole := path.Clean(opts.Load.Dir) == "."; whole && res.Model != nil {
		res.Diags = append(res.Diags, sup.Unused()...)
	}
}

// lower runs the stages after load.
func (res *Result) lower(sup *diag.Suppressor, opts Options) {
	res.Diags = append(res.Diags, sup.Filter(opts.known.checkIntent(res.Intent))...)
	if res.Diags.HasErrors() {
		return
	}
	m, diags := opts.known.lower(res.Intent)
	res.Diags = append(res.Diags, sup.Filter(diags)...)
	if res.Diags.HasErrors() {
		return
	}
	res.Diags = append(res.Diags, sup.Filter(opts.known.checkModel(m, opts.Now))...)
	if !res.Diags.HasErrors() {
		res.Diags = append(res.Diags, sup.Filter(rawPatches(m))...)
	}
	if opts.Snapshot != nil && !res.Diags.HasErrors() {
		res.Diags = append(res.Diags, sup.Filter(check.Snapshot(m, opts.Snapshot, opts.Now))...)
	}
	if !res.Diags.HasErrors() {
		res.Model = m
	}
}

// crash reports a bug of the compiler itself, with where it happened.
func crash(v any) diag.Diagnostic {
	d := diag.New(diag.Internal, diag.Range{}, "meshc crashed: %v", v)
	d.Why = "this is a bug in meshc: " + strings.TrimSpace(string(debug.Stack()))
	return d
}
