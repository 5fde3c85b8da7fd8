// Package fix makes the fixes that diagnostics carry: in memory, round by round,
// judging the mesh again after each, until none is left.
package fix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
)

// maxRounds bounds the rounds: a fix may uncover what another one mends, and no
// mesh has mistakes behind mistakes behind mistakes for ever.
const maxRounds = 10

// Change is what fixes make of one file.
type Change struct {
	File          string // slash-separated, relative to the module root
	Before, After []byte
}

// Outcome of Mesh.
type Outcome struct {
	Changes []Change // sorted by file
	Fixed   int      // diagnostics
}

// Mesh makes the fixes of the mesh in fsys: the certain ones, or, when codes are
// asked for, those of these codes, choices among them. It writes nothing.
func Mesh(ctx context.Context, fsys fs.FS, opts compiler.Options, asked []diag.Code) (*Outcome, error) {
	o := over(fsys)
	res, err := compiler.Compile(ctx, o, opts)
	if err != nil {
		return nil, err
	}
	out := &Outcome{}
	for range maxRounds {
		hidden, err := Beyond(ctx, o, opts, res)
		if err != nil {
			return nil, err
		}
		made, next, after, err := round(ctx, o, opts, slices.Concat(res.Diags, hidden), asked)
		if err != nil {
			return nil, err
		}
		if made == 0 {
			break
		}
		out.Fixed += made
		o, res = next, after
	}
	out.Changes, err = o.changes()
	return out, err
}

// round makes all fixes that go together, or, when that breaks something, the
// first one that breaks nothing. made is 0 when there is none.
func round(ctx context.Context, o *overlay, opts compiler.Options, l diag.List, asked []diag.Code) (made int, next *overlay, after *compiler.Result, err error) {
	all := l.Fixes(asked)
	if len(all) == 0 {
		return 0, o, nil, nil
	}
	tries := [][]*diag.Fix{all}
	for i := range all {
		tries = append(tries, all[i:i+1])
	}
	for _, fixes := range tries {
		next, err = o.with(fixes)
		if err != nil {
			continue // it does not apply, or what comes out does not parse
		}
		after, err = compiler.Compile(ctx, next, opts)
		if err != nil {
			return 0, nil, nil, err
		}
		if !broken(l, after.Diags) {
			return len(fixes), next, after, nil
		}
	}
	return 0, o, nil, nil
}

// breakage are the codes of a mesh that cannot be read any more. Other codes
// may come up because what hid them is mended.
var breakage = []diag.Code{
	diag.Syntax, diag.UnknownReference, diag.Conflict, diag.EvaluationLimit, diag.EvaluationCrash, diag.Internal,
}

func broken(before, after diag.List) bool {
	count := func(l diag.List, c diag.Code) (n int) {
		for _, d := range l {
			if d.Code == c {
				n++
			}
		}
		return n
	}
	return slices.ContainsFunc(breakage, func(c diag.Code) bool { return count(after, c) > count(before, c) })
}

// with gives the overlay with fixes made. Each file that changes still parses.
func (o *overlay) with(fixes []*diag.Fix) (*overlay, error) {
	edits := map[string][]diag.Edit{}
	for _, f := range fixes {
		for _, e := range f.Edits {
			edits[e.Range.File] = append(edits[e.Range.File], e)
		}
	}
	next := o.clone()
	for name, es := range edits {
		before, err := fs.ReadFile(o, name)
		if err != nil {
			return nil, err
		}
		after, err := diag.Apply(before, es)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := load.Parses(name, after); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		next.changed[name] = after
	}
	return next, nil
}

// changes compares with what lies below the overlay.
func (o *overlay) changes() ([]Change, error) {
	var out []Change
	for name, after := range o.changed {
		before, err := fs.ReadFile(o.FS, name)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(before, after) {
			out = append(out, Change{File: name, Before: before, After: after})
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.File, b.File) })
	return out, nil
}

// With compiles the mesh in fsys as it is with edits made, which are resolved
// first, and gives the files that change. It writes nothing. An error says that
// an edit does not apply, or that what comes out of it does not parse.
func With(ctx context.Context, fsys fs.FS, opts compiler.Options, edits []diag.Edit) (*compiler.Result, []Change, error) {
	asked := diag.List{{Fix: &diag.Fix{Edits: edits}}}
	load.ResolveFixes(fsys, asked)
	if asked[0].Fix == nil {
		return nil, nil, errors.New("the place does not hold what the edit expects")
	}
	o, err := over(fsys).with([]*diag.Fix{asked[0].Fix})
	if err != nil {
		return nil, nil, err
	}
	res, err := compiler.Compile(ctx, o, opts)
	if err != nil {
		return nil, nil, err
	}
	changes, err := o.changes()
	return res, changes, err
}
