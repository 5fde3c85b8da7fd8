package fix

import (
	"context"
	"io/fs"
	"path"
	"slices"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
)

// maxDepth bounds how often Beyond judges the mesh again. The stages of the
// compiler are four, and a cut may need a wider one.
const maxDepth = 6

const mostErrors = 50

// Beyond gives the diagnostics that errors hide: a stage of the compiler judges
// only what the stages before it let pass. It mends a copy of the mesh, where a
// fix is known, and cuts out what has none, and judges the copy. What comes up
// only because of a cut is left out, so it may tell less than there is, but
// nothing that mending the errors would not show. Of a mesh with more than
// mostErrors it tells nothing: whoever reads has enough to do, and what thousands
// of errors hide takes many times as long to find as they did. Places are those of
// fsys.
func Beyond(ctx context.Context, fsys fs.FS, opts compiler.Options, first *compiler.Result) (diag.List, error) {
	if first.Diags.Count(diag.Error) > mostErrors {
		return nil, nil
	}
	b := &beyond{seen: map[place]bool{}, cut: map[string]bool{}, aside: map[string][]aside{}}
	b.note(first.Diags)
	o, res := over(fsys), first
	for range maxDepth {
		if !res.Diags.HasErrors() || res.Intent == nil {
			break
		}
		next, err := b.operate(o, res.Diags)
		if err != nil {
			return nil, err
		}
		if next == nil {
			break
		}
		after, err := compiler.Compile(ctx, next, opts)
		if err != nil {
			return nil, err
		}
		if len(b.gone) == 0 && broken(res.Diags, after.Diags) {
			break // something refers to what was mended or cut
		}
		o, res = next, after
		b.gather(o, res.Diags)
	}
	b.found.Sort()
	return b.found, nil
}

// beyond is one run.
type beyond struct {
	shifts []map[string]*shift // by round and file
	seen   map[place]bool
	cut    map[string]bool    // entries out of which more than unknown fields was cut; "" stands for all
	aside  map[string][]aside // unknown fields, by the entry out of which they were taken
	gone   []gone
	found  diag.List
}

// place is what tells diagnostics apart.
type place struct {
	code diag.Code
	at   diag.Range
}

func (b *beyond) note(l diag.List) {
	for _, d := range l {
		b.seen[place{d.Code, d.Range}] = true
	}
}

// operate gives the copy without the errors of l; nil when nothing can be done.
func (b *beyond) operate(o *overlay, l diag.List) (*overlay, error) {
	sources := load.NewSources(o)
	edits := map[string][]diag.Edit{}
	done := 0
	for _, d := range l {
		if d.Severity != diag.Error {
			continue
		}
		var these []diag.Edit
		if d.Fix != nil {
			these = d.Fix.Edits
		} else {
			e, ok := b.cutOut(sources, d)
			if !ok {
				continue
			}
			these = []diag.Edit{e}
		}
		if clash(edits, these) || !fits(sources, edits, these) {
			continue // it has its turn in the next round
		}
		for _, e := range these {
			edits[e.Range.File] = append(edits[e.Range.File], e)
		}
		done++
	}
	if done == 0 {
		return nil, nil
	}
	return b.apply(o, edits)
}

// ofAttributes are reported at an attribute, without which the mesh is whole.
var ofAttributes = []diag.Code{diag.AttributeRefused, diag.BadSuppression, diag.NotSuppressible, diag.SuppressionExpired}

// cutOut takes as little as it can out of the copy, and notes where.
func (b *beyond) cutOut(sources *load.Sources, d diag.Diagnostic) (diag.Edit, bool) {
	if slices.Contains(ofAttributes, d.Code) {
		return sources.CutText(d.Range)
	}
	if e, ok := sources.Cut(d.Range); ok {
		entry := sources.Entry(d.Range)
		if sources.Field(d.Range) == "namespace" || sources.Aliased(d.Range.File) {
			entry = "" // it is part of the name by which others know the entry, or of several entries
		}
		if d.Code == diag.UnknownField && entry != "" {
			b.aside[entry] = append(b.aside[entry], aside{sources.Field(d.Range), sources.Within(d.Range, conditions...)})
			return e, true
		}
		b.cut[entry] = true
		return e, true
	}
	if e, ok := sources.CutEntry(d.Range); ok {
		b.cut[""] = true // others may name what goes
		return e, true
	}
	e, ok := sources.CutFile(d.Range.File)
	if ok {
		b.gone = append(b.gone, gone{d.Range.File, sources.Text(d.Range.File)})
	}
	return e, ok
}

// fits says that a file of data, where edits side by side may leave what does
// not parse, still does with these.
func fits(sources *load.Sources, edits map[string][]diag.Edit, these []diag.Edit) bool {
	return !slices.ContainsFunc(these, func(e diag.Edit) bool {
		name := e.Range.File
		if path.Ext(name) == ".cue" {
			return false
		}
		after, err := diag.Apply(sources.Text(name), append(slices.Clone(edits[name]), e))
		return err != nil || load.Parses(name, after) != nil
	})
}

func clash(edits map[string][]diag.Edit, these []diag.Edit) bool {
	return slices.ContainsFunc(these, func(e diag.Edit) bool {
		return slices.ContainsFunc(edits[e.Range.File], e.Touches)
	})
}

func (b *beyond) apply(o *overlay, edits map[string][]diag.Edit) (*overlay, error) {
	next, shifts := o.clone(), map[string]*shift{}
	for name, es := range edits {
		before, err := fs.ReadFile(o, name)
		if err != nil {
			return nil, err
		}
		after, err := diag.Apply(before, es)
		if err != nil || load.Parses(name, after) != nil {
			return nil, nil // the copy cannot be mended: what is known is all
		}
		if shifts[name], err = newShift(before, after, es); err != nil {
			return nil, err
		}
		next.changed[name] = after
	}
	b.shifts = append(b.shifts, shifts)
	return next, nil
}

// gather keeps what is new in l, at its place in the tree of the user.
func (b *beyond) gather(o *overlay, l diag.List) {
	sources := load.NewSources(o)
	for _, d := range l {
		if !b.certain(d, sources.Entry(d.Range)) || b.lacks(d, sources) {
			continue
		}
		moved, ok := b.back(d)
		if !ok || b.seen[place{moved.Code, moved.Range}] {
			continue
		}
		b.seen[place{moved.Code, moved.Range}] = true
		b.found.Add(moved)
	}
}

// certain says that d does not come from a cut.
func (b *beyond) certain(d diag.Diagnostic, entry string) bool {
	switch {
	case len(b.cut)+len(b.aside)+len(b.gone) == 0:
		return true
	case slices.Contains(ofOneField, d.Code):
		return true
	case b.cut[""]:
		return false
	case b.cut[entry] || entry == "":
		return slices.Contains(ofNames, d.Code)
	case len(b.aside[entry]) > 0:
		return slices.Contains(ofNames, d.Code) ||
			!slices.ContainsFunc(b.aside[entry], func(a aside) bool { return consequence(d.Code, a) })
	}
	return slices.Contains(ofNames, d.Code) || slices.Contains(ofOneEntry, d.Code)
}

// back moves d, what it points at and its fix to the places that they have in
// the tree of the user.
func (b *beyond) back(d diag.Diagnostic) (diag.Diagnostic, bool) {
	at, ok := b.before(d.Range)
	if !ok {
		return d, false
	}
	d.Range = at
	var related []diag.Related
	for _, r := range d.Related {
		if r.Range, ok = b.before(r.Range); ok {
			related = append(related, r)
		}
	}
	d.Related = related
	d.Fix = b.fixBefore(d.Fix)
	return d, true
}

func (b *beyond) fixBefore(f *diag.Fix) *diag.Fix {
	if f == nil {
		return nil
	}
	moved := *f
	moved.Edits = nil
	for _, e := range f.Edits {
		at, ok := b.before(e.Range)
		if !ok {
			return nil
		}
		e.Range = at
		moved.Edits = append(moved.Edits, e)
	}
	return &moved
}

func (b *beyond) before(r diag.Range) (diag.Range, bool) {
	for _, shifts := range slices.Backward(b.shifts) {
		if s := shifts[r.File]; s != nil {
			var ok bool
			if r, ok = s.back(r); !ok {
				return r, false
			}
		}
	}
	return r, true
}
