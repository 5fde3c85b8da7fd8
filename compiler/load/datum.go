package load

import (
	"errors"
	"math/big"
	"slices"
	"strconv"

	"cuelang.org/go/cue"

	"github.com/meshc/meshc/compiler/diag"
)

// evaluated is a datum that CUE evaluated; the index says where it was written.
type evaluated struct {
	v  cue.Value
	ix *index
	p  []string
}

func newEvaluated(v cue.Value, ix *index, p []string) evaluated {
	v, _ = v.Default()
	return evaluated{v: v, ix: ix, p: p}
}

func (e evaluated) down(name string, v cue.Value) datum {
	return newEvaluated(v, e.ix, append(slices.Clone(e.p), name))
}

func (e evaluated) Kind() cue.Kind          { return e.v.Kind() }
func (e evaluated) String() (string, error) { return e.v.String() }
func (e evaluated) Int64() (int64, error)   { return e.v.Int64() }
func (e evaluated) Bool() (bool, error)     { return e.v.Bool() }
func (e evaluated) name() string            { return e.p[len(e.p)-1] }
func (e evaluated) path() string            { return pathString(e.p) }
func (e evaluated) label() diag.Range       { return e.ix.label(e.p) }
func (e evaluated) place() diag.Range       { return e.ix.value(e.p) }

func (e evaluated) decimal() (string, error) {
	var mantissa big.Int
	exponent, err := e.v.MantExp(&mantissa)
	if err != nil {
		return "", err
	}
	return decimalText(&mantissa, exponent), nil
}

func (e evaluated) field(name string) (datum, bool) {
	v := e.v.LookupPath(cue.MakePath(cue.Str(name)))
	if !v.Exists() {
		return nil, false
	}
	return e.down(name, v), true
}

func (e evaluated) fields() ([]datum, error) {
	it, err := e.v.Fields()
	if err != nil {
		return nil, err
	}
	var out []datum
	for it.Next() {
		out = append(out, e.down(it.Selector().Unquoted(), it.Value()))
	}
	return out, nil
}

func (e evaluated) elements() ([]datum, error) {
	it, err := e.v.List()
	if err != nil {
		return nil, err
	}
	var out []datum
	for i := 0; it.Next(); i++ {
		out = append(out, e.down(strconv.Itoa(i), it.Value()))
	}
	return out, nil
}

// nothing stands where a required field is missing; it cannot be read.
type nothing struct{ datum }

var errMissing = errors.New("there is no value")

func (nothing) Kind() cue.Kind             { return cue.BottomKind }
func (nothing) String() (string, error)    { return "", errMissing }
func (nothing) Int64() (int64, error)      { return 0, errMissing }
func (nothing) Bool() (bool, error)        { return false, errMissing }
func (nothing) decimal() (string, error)   { return "", errMissing }
func (nothing) field(string) (datum, bool) { return nil, false }
func (nothing) fields() ([]datum, error)   { return nil, errMissing }
func (nothing) elements() ([]datum, error) { return nil, errMissing }
