package load

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"

	"github.com/meshc/meshc/compiler/diag"
)

// judgement compares one value with its shape. CUE's own errors repeat
// themselves, hide each other and point into the schema; so the walk finds
// unknown, missing and unfinished fields itself, and takes from CUE only which
// paths are in conflict. One path gives one diagnostic.
type judgement struct {
	*instance
	conflicts map[string][]errors.Error // by path
	done      map[string]bool           // paths that have their diagnostic
	found     diag.List
}

// judge reports what is wrong with v at path p, and says whether it is sound.
func (in *instance) judge(v cue.Value, s *shape, p []string) bool {
	j := &judgement{instance: in, conflicts: map[string][]errors.Error{}, done: map[string]bool{}}
	var order [][]string
	for _, err := range errors.Errors(v.Validate(cue.Concrete(true), cue.Final())) {
		at := unquoted(err.Path())
		if len(at) < len(p) {
			at = p
		}
		key := pathKey(at)
		if len(j.conflicts[key]) == 0 {
			order = append(order, at)
		}
		j.conflicts[key] = append(j.conflicts[key], err)
	}
	j.walk(v, s, p)
	for _, at := range order {
		j.conflict(at, s, p)
	}
	in.diags = append(in.diags, j.found...)
	return !j.found.HasErrors() && len(order) == 0
}

func (j *judgement) report(p []string, d diag.Diagnostic) {
	j.done[pathKey(p)] = true
	j.found.Add(d)
}

// walk visits what the value and the user's files have below p.
func (j *judgement) walk(v cue.Value, s *shape, p []string) {
	v, _ = v.Default()
	if s.element != nil && (s.kind == cue.ListKind || v.IncompleteKind() == cue.ListKind) {
		j.walkList(v, s, p)
		return
	}
	if s.kind != cue.StructKind {
		j.checkConcrete(v, s, p)
		return
	}
	if j.inConflict(p) {
		return // not a struct at all
	}
	names := j.names(v, p)
	for _, name := range names {
		below := append(slices.Clone(p), name)
		if child := s.child(name); child != nil {
			j.walk(v.LookupPath(cue.MakePath(cue.Str(name))), child, below)
		} else {
			j.unknown(s, below)
		}
	}
	j.checkOneOf(s, names, p)
	for _, name := range s.names {
		if s.required[name] && !slices.Contains(names, name) {
			j.missing(s, p, names, name)
		}
	}
}

// checkOneOf holds the union rule, which the schema leaves to meshc.
func (j *judgement) checkOneOf(s *shape, names, p []string) {
	if s.oneOf == nil || slices.ContainsFunc(names, func(n string) bool { return s.fields[n] == nil }) {
		return // a misspelt condition has its own diagnostic
	}
	written := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !slices.Contains(s.oneOf, n) })
	if len(written) == 1 {
		return
	}
	d := diag.New(diag.NotExactlyOne, j.ix.label(p), "%s has no condition", pathString(p))
	if len(written) > 1 {
		d.Message = pathString(p) + " has more than one condition: " + strings.Join(written, ", ")
	}
	d.Help = "write exactly one of " + strings.Join(s.oneOf, ", ")
	for _, name := range written {
		if at := j.ix.label(append(slices.Clone(p), name)); at.Start.Line != d.Range.Start.Line {
			d.Related = append(d.Related, diag.Related{Range: at, Message: "one of them"})
		}
	}
	j.report(p, d)
}

// walkList visits the elements, also of a list that CUE gave up.
func (j *judgement) walkList(v cue.Value, s *shape, p []string) {
	if j.inConflict(p) {
		return // not a list at all
	}
	written := j.ix.names(p)
	for i := 0; ; i++ {
		element, name := v.LookupPath(cue.MakePath(cue.Index(i))), strconv.Itoa(i)
		if !element.Exists() && !slices.Contains(written, name) {
			return
		}
		j.walk(element, s.element, append(slices.Clone(p), name))
	}
}

// names gives the fields of v, and those written in the user's files that
// evaluation may have lost.
func (j *judgement) names(v cue.Value, p []string) []string {
	set := map[string]bool{}
	if it, err := v.Fields(cue.Optional(true)); err == nil {
		for it.Next() {
			if !it.Selector().IsConstraint() { // a constraint alone writes nothing
				set[it.Selector().Unquoted()] = true
			}
		}
	}
	for _, name := range j.ix.regular(p) {
		set[name] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// inConflict says that CUE has an error about p itself.
func (j *judgement) inConflict(p []string) bool {
	return slices.ContainsFunc(j.conflicts[pathKey(p)], func(e errors.Error) bool { return !isNotAllowed(e) })
}

func (j *judgement) unknown(s *shape, p []string) {
	name := p[len(p)-1]
	at := j.ix.label(p)
	if s.isMap() {
		d := diag.New(diag.BadName, at, "%q cannot be a name in %s", name, pathString(p[:len(p)-1]))
		d.Help = "a name here is text that matches " + s.key.String()
		j.report(p, d)
		return
	}
	d := diag.New(diag.UnknownField, at, "unknown field %q in %s", name, pathString(p[:len(p)-1]))
	if len(s.names) == 0 {
		d.Help = "nothing is written here but {}"
	} else {
		d.Help = nearest(name, s.names)
		j.ix.renameField(&d, p, s.names)
	}
	j.report(p, d)
}

// missing reports a required field that is not among the names which are
// written, unless one of them is that name misspelt: it has its diagnostic.
func (j *judgement) missing(s *shape, p, names []string, name string) {
	at := append(slices.Clone(p), name)
	if slices.ContainsFunc(names, func(n string) bool { return s.fields[n] == nil && closest(n, s.names) == name }) {
		j.done[pathKey(at)] = true
		return
	}
	d := diag.New(diag.MissingField, j.ix.label(p), "%s lacks the field %q", pathString(p), name)
	d.Help = "give " + name + ": " + s.fields[name].want()
	j.report(at, d)
}

// checkConcrete reports a value that stays a constraint.
func (j *judgement) checkConcrete(v cue.Value, s *shape, p []string) {
	if !v.Exists() || v.IsConcrete() || j.inConflict(p) && v.Kind() == cue.BottomKind && v.IncompleteKind() == cue.BottomKind {
		return
	}
	d := diag.New(diag.NotConcrete, j.ix.value(p), "%s is never given a value", pathString(p))
	d.Help = "want " + s.want()
	j.report(p, d)
}

// conflict turns CUE's errors about one path into one diagnostic, unless the
// walk has already said what is wrong there or above.
func (j *judgement) conflict(at []string, s *shape, p []string) {
	for depth := len(p); depth <= len(at); depth++ {
		if j.done[pathKey(at[:depth])] {
			return
		}
	}
	if j.doneBelow(at) {
		return
	}
	for _, name := range at[len(p):] {
		if s = s.child(name); s == nil {
			break
		}
	}
	j.report(at, j.explainCUE(at, s, j.conflicts[pathKey(at)]))
}

// doneBelow says that something below the path has its diagnostic: an error of
// a struct or list is then only its echo.
func (j *judgement) doneBelow(p []string) bool {
	prefix := pathKey(p) + "\x00"
	for key := range j.done {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// pathKey makes a path a map key.
func pathKey(p []string) string { return strings.Join(p, "\x00") }

// unquoted takes the quotes off the labels of a path in a CUE error.
func unquoted(p []string) []string {
	out := slices.Clone(p)
	for i, label := range out {
		if text, err := strconv.Unquote(label); err == nil {
			out[i] = text
		}
	}
	return out
}

// regular gives the names of regular fields that the user's files write out
// directly below a path.
func (ix *index) regular(p []string) []string {
	return slices.DeleteFunc(ix.names(p), func(name string) bool {
		return strings.HasPrefix(name, "#") || strings.HasPrefix(name, "_")
	})
}
