package load

import (
	"fmt"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/diag"
)

// rangeOf gives the place of a node in the user's file.
func rangeOf(n ast.Node) diag.Range {
	if n == nil {
		return diag.Range{}
	}
	start, end := n.Pos().Position(), n.End().Position()
	if start.Filename == "" {
		return diag.Range{}
	}
	r := diag.Range{File: start.Filename, Start: diag.NewPos(start.Line, start.Column)}
	r.End = diag.NewPos(end.Line, end.Column)
	if end.Filename != start.Filename || end.Offset <= start.Offset {
		r.End = r.Start
	}
	return r
}

// rangeAt gives the empty range at a position.
func rangeAt(p token.Pos) diag.Range {
	if !p.IsValid() || p.Filename() == "" {
		return diag.Range{}
	}
	at := diag.NewPos(p.Line(), p.Column())
	return diag.Range{File: p.Filename(), Start: at, End: at}
}

// fromCUE turns errors of parsing and building into diagnostics with one code.
func fromCUE(code diag.Code, err error) diag.List {
	var out diag.List
	for _, e := range errors.Errors(err) {
		e = withinImport(e)
		at, text := rangeAt(position(e)), message(e)
		if d := diag.New(code, at, "%s", text); len(out) == 0 || out[len(out)-1].Range != d.Range {
			out.Add(d)
		}
	}
	return out
}

// withinImport gives the error behind "import failed", which says why.
func withinImport(e errors.Error) errors.Error {
	for {
		format, _ := e.Msg()
		inner, ok := errors.Unwrap(e).(errors.Error)
		if !ok || !strings.HasPrefix(format, "import failed") {
			return e
		}
		e = inner
	}
}

// position of an error: its own, else the first of its inputs that is known.
func position(e errors.Error) token.Pos {
	for _, p := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
		if p.IsValid() && p.Filename() != "" {
			return p
		}
	}
	return token.NoPos
}

// message is the text of one error, without its path and place. An error that
// only wraps another's gives way to it.
func message(e errors.Error) string {
	if inner := errors.Unwrap(e); inner != nil {
		if _, own := inner.(errors.Error); !own {
			return inner.Error()
		}
	}
	format, args := e.Msg()
	return fmt.Sprintf(format, args...)
}
