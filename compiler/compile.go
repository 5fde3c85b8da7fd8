// Package compiler runs the stages of a compile in order: a tree of CUE goes
// in, the checked model comes out, or what is wrong with the tree.
package compiler

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"runtime/debug"
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

	tables *check.Tables // of a cache; nil for none
	known  *known        // of a Session; nil for none
}

// Result of a compile. Model is nil when Diags holds errors; Intent is nil when
// the tree could not be read as intent.
type Result struct {
	Intent *intent.Mesh
	Model  *model.Mesh
	Diags  diag.List
	// Suppressed are the diagnostics that an @meshc attribute takes out of Diags.
	Suppressed []diag.Suppressed
}

// Compile loads, checks, lowers and checks again. Diagnostics, errors among
// them, are in the Result; the error is for what kept the compiler from
// judging at all, such as I/O. A panic in a stage becomes MSH9001.
func Compile(ctx context.Context, fsys fs.FS, opts Options) (res *Result, err error) {
	res = &Result{}
	defer func() {
		if v := recover(); v != nil {
			res.Model = nil
			res.Diags.Add(crash(v))
			res.Diags.Sort()
		}
	}()
	if opts.Dir != "" {
		opts.Load.Dir = opts.Dir
	}
	in, diags, err := load.Mesh(ctx, fsys, opts.Load)
	if err != nil {
		return nil, fmt.Errorf("load mesh: %w", err)
	}
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	res.Intent = in
	opts.known.unchanged(in)
	if kept := opts.Load.Cache; kept != nil && opts.known == nil {
		opts.tables = tablesFrom(kept, opts.Load.Dir)
		defer func() { keepTables(kept, opts.Load.Dir, opts.tables) }()
	}
	res.judge(diags, opts)
	load.ResolveFixes(fsys, res.Diags)
	res.Diags.Sort()
	res.Diags = res.Diags.Merge()
	return res, nil
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
	res.Diags = append(res.Diags, sup.Filter(opts.checkModel(m))...)
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
