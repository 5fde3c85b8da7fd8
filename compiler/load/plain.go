package load

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"

	"github.com/meshc/meshc/compiler/diag"
)

// plain is a datum that was read from text and not evaluated: a literal, or a
// struct or list of such. Its places are those that the index would give.
type plain struct {
	kind cue.Kind
	own  bool // written in the home directory, and not by a layer above
	file string
	key  string // the last label of the path
	at   span   // of the label
	val  span   // of the value
	text string // of a string, number or bool
	kids []*plain
}

// span is a range in one file.
type span struct{ line, col, endLine, endCol int32 }

func (p *plain) rangeOf(s span) diag.Range {
	return diag.Range{
		File:  p.file,
		Start: diag.Pos{Line: s.line, Col: s.col},
		End:   diag.Pos{Line: s.endLine, Col: s.endCol},
	}
}

func (p *plain) Kind() cue.Kind     { return p.kind }
func (p *plain) name() string       { return p.key }
func (p *plain) path() string       { return p.key }
func (p *plain) label() diag.Range  { return p.rangeOf(p.at) }
func (p *plain) place() diag.Range  { return p.rangeOf(p.val) }
func (p *plain) is(k cue.Kind) bool { return p.kind == k }

func (p *plain) mismatch(want string) error { return fmt.Errorf("want %s, have %s", want, p.kind) }

func (p *plain) String() (string, error) {
	if !p.is(cue.StringKind) {
		return "", p.mismatch("a string")
	}
	return p.text, nil
}

func (p *plain) Int64() (int64, error) {
	if !p.is(cue.IntKind) {
		return 0, p.mismatch("a whole number")
	}
	return strconv.ParseInt(p.text, 10, 64)
}

func (p *plain) Bool() (bool, error) {
	if !p.is(cue.BoolKind) {
		return false, p.mismatch("true or false")
	}
	return p.text == "true", nil
}

func (p *plain) decimal() (string, error) {
	if !p.is(cue.IntKind) && !p.is(cue.FloatKind) {
		return "", p.mismatch("a number")
	}
	return p.text, nil
}

// kid finds a field; nil when there is none.
func (p *plain) kid(name string) *plain {
	for _, k := range p.kids {
		if k.key == name {
			return k
		}
	}
	return nil
}

func (p *plain) field(name string) (datum, bool) {
	if k := p.kid(name); k != nil && p.is(cue.StructKind) {
		return k, true
	}
	return nil, false
}

func (p *plain) fields() ([]datum, error) {
	if !p.is(cue.StructKind) {
		return nil, p.mismatch("a struct")
	}
	return p.data(), nil
}

func (p *plain) elements() ([]datum, error) {
	if !p.is(cue.ListKind) {
		return nil, p.mismatch("a list")
	}
	return p.data(), nil
}

func (p *plain) data() []datum {
	out := make([]datum, len(p.kids))
	for i, k := range p.kids {
		out[i] = k
	}
	return out
}

// unify adds what o says to p, as CUE's & does for literals, and says whether
// the two agree. Lists from two places are left to CUE. A pattern, whose key is
// not p's, does not declare an entry.
func (p *plain) unify(o *plain) bool {
	if p.kind != o.kind || p.is(cue.ListKind) || p.text != o.text {
		return false
	}
	if o.own && !p.own || o.own == p.own && o.key == p.key && o.declares() && !p.declares() {
		p.own, p.file, p.at, p.val = o.own, o.file, o.at, o.val
	}
	for _, k := range o.kids {
		mine := p.kid(k.key)
		if mine == nil {
			p.kids = append(p.kids, k.clone())
		} else if !mine.unify(k) {
			return false
		}
	}
	return true
}

// declares says that p writes one of the fields declaring.
func (p *plain) declares() bool {
	return slices.ContainsFunc(declaring, func(name string) bool { return p.kid(name) != nil })
}

// clone copies what unify may change.
func (p *plain) clone() *plain {
	out := *p
	out.kids = make([]*plain, len(p.kids))
	for i, k := range p.kids {
		out.kids[i] = k.clone()
	}
	return &out
}

// foreign makes a copy for a directory below the one it was written in.
func (p *plain) foreign() *plain {
	out := p.clone()
	out.disown()
	return out
}

func (p *plain) disown() {
	p.own = false
	for _, k := range p.kids {
		k.disown()
	}
}

// clean says that text can be compared byte by byte: no character that CUE's
// scanner treats in a way of its own.
func clean(text string) bool {
	return !strings.ContainsAny(text, "\x00\r\ufeff")
}

// keywords of CUE, of which none is a plain label or value.
var keywords = []string{
	"package", "import", "for", "in", "if", "let", "true", "false", "null", "func", "try", "else", "otherwise", "fallback",
	"div", "mod", "quo", "rem", "self",
}

func isKeyword(s string) bool { return slices.Contains(keywords, s) }
