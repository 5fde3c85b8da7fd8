package load

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/schema"
)

// explainCUE makes one diagnostic of all errors that CUE has about one path.
// s is nil where the schema knows nothing of the path.
func (in *instance) explainCUE(p []string, s *shape, errs []errors.Error) diag.Diagnostic {
	at, exact := in.ix.place(p)
	where := at.value
	if !exact {
		where = at.label
	}
	places := userPlaces(errs)
	if !exact && len(places) > 0 {
		where = places[0]
	}
	for _, e := range errs {
		switch {
		case isNotAllowed(e):
			d := diag.New(diag.UnknownField, in.ix.label(p), "a definition that applies here does not allow the field %q", p[len(p)-1])
			d.Help = "add it to the definition, or leave the definition open with ..."
			return d
		case betweenUsers(e):
			return in.disagreement(p, where, e)
		}
	}
	if s == nil || !involvesSchema(errs) {
		return diag.New(diag.WrongValue, where, "%s: %s", pathString(p), message(errs[0]))
	}
	return wrongValue(p, where, at.literal, s)
}

// wrongValue says what the schema wants instead.
func wrongValue(p []string, where diag.Range, literal string, s *shape) diag.Diagnostic {
	want := s.want()
	if literal == "" {
		return diag.New(diag.WrongValue, where, "%s is to be %s", pathString(p), want)
	}
	d := diag.New(diag.WrongValue, where, "%s is %s, and is to be %s", pathString(p), shorten(literal), want)
	text, err := strconv.Unquote(literal)
	if err == nil {
		s.meantValue(&d, text)
	}
	if err == nil && len(s.enum) > 0 {
		if help := nearest(text, s.enum); strings.HasPrefix(help, "did you mean") {
			d.Help = help
		}
	}
	return d
}

// disagreement reports two places of the user's that do not agree.
func (in *instance) disagreement(p []string, where diag.Range, e errors.Error) diag.Diagnostic {
	d := diag.New(diag.Conflict, where, "%s: %s", pathString(p), message(e))
	for _, other := range userPlaces([]errors.Error{e}) {
		if other.File != where.File || other.Start != where.Start {
			d.Related = append(d.Related, diag.Related{Range: other, Message: "the other place"})
		}
	}
	return d
}

// shorten keeps a literal to what fits into a line.
func shorten(literal string) string {
	const most = 60
	if len(literal) > most {
		return strings.ToValidUTF8(literal[:most], "") + "…"
	}
	return literal
}

func isNotAllowed(e errors.Error) bool {
	format, _ := e.Msg()
	return strings.HasPrefix(format, "field not allowed")
}

// positions of an error, its own first.
func positions(e errors.Error) []token.Pos {
	return append([]token.Pos{e.Position()}, e.InputPositions()...)
}

func isSchema(p token.Pos) bool { return strings.HasPrefix(p.Filename(), schema.ImportPath+"/") }

// userPlaces gives the distinct places in the user's files.
func userPlaces(errs []errors.Error) []diag.Range {
	var out []diag.Range
	for _, e := range errs {
		for _, p := range positions(e) {
			if r := rangeAt(p); !r.IsZero() && !isSchema(p) && !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, diag.Range.Compare)
	return out
}

// betweenUsers says that an error sets two places of the user's against each
// other, without the schema.
func betweenUsers(e errors.Error) bool {
	format, args := e.Msg()
	if len(userPlaces([]errors.Error{e})) < 2 {
		return false
	}
	if strings.HasPrefix(format, "conflicting values") {
		return !involvesSchema([]errors.Error{e})
	}
	// A bound that the user wrote: CUE puts the bound's place first.
	return strings.HasPrefix(format, "invalid value") && len(args) > 1 && e.Position().IsValid() && !isSchema(e.Position())
}

func involvesSchema(errs []errors.Error) bool {
	return slices.ContainsFunc(errs, func(e errors.Error) bool {
		return slices.ContainsFunc(positions(e), isSchema) || strings.Contains(fmt.Sprint(e), "empty disjunction")
	})
}
