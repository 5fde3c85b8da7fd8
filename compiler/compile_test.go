package compiler_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
)

// badFS fails each call with fail, or panics when that is nil.
type badFS struct{ fail error }

func (b badFS) Open(string) (fs.File, error) {
	if b.fail == nil {
		panic("a bug")
	}
	return nil, b.fail
}

func TestPanicBecomesADiagnostic(t *testing.T) {
	res, err := compiler.Compile(context.Background(), badFS{}, compiler.Options{Load: load.Options{InProcess: true}})
	if err != nil {
		t.Fatal(err)
	}
	if res.Model != nil || len(res.Diags) != 1 || res.Diags[0].Code != diag.Internal || !res.Diags.HasErrors() {
		t.Errorf("%+v", res)
	}
}

func TestUnreadableTreeIsAnErrorAndNoDiagnostic(t *testing.T) {
	broken := errors.New("disk on fire")
	if _, err := compiler.Compile(context.Background(), badFS{broken}, compiler.Options{}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestErrorsLeaveNoModel(t *testing.T) {
	res := compile(t, map[string]string{"a.cue": "package mesh\nservice: a: uses: nobody: {}\n"})
	if res.Model != nil || res.Intent == nil || !res.Diags.HasErrors() {
		t.Errorf("%+v", res)
	}
}

func TestDirSelectsASubtree(t *testing.T) {
	fsys := fstest.MapFS{}
	for name, data := range usual {
		fsys[name] = &fstest.MapFile{Data: []byte(data)}
	}
	for _, dir := range []string{"one", "two"} {
		fsys[dir+"/a.cue"] = &fstest.MapFile{Data: []byte("package mesh\nservice: " + dir + ": {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}}\n")}
	}
	res, err := compiler.Compile(context.Background(), fsys, compiler.Options{Now: now, Dir: "two", Load: load.Options{InProcess: true}})
	if err != nil || res.Model == nil {
		t.Fatal(err, res)
	}
	if len(res.Model.Services) != 1 || res.Model.Services[0].Name != "two" {
		t.Errorf("%+v", res.Model.Services)
	}
}

// TestCompileInTheChild goes through the bounded child, as the commands do.
func TestCompileInTheChild(t *testing.T) {
	fsys := fstest.MapFS{}
	for name, data := range usual {
		fsys[name] = &fstest.MapFile{Data: []byte(data)}
	}
	fsys["a.cue"] = &fstest.MapFile{Data: []byte("package mesh\nservice: a: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}, routes: all: to: v2: 100}\n")}
	res, err := compiler.Compile(context.Background(), fsys, compiler.Options{Now: now})
	if err != nil || len(res.Diags) != 1 || res.Diags[0].Code != diag.UnknownVersion || res.Diags[0].Range.Start.Line != 2 {
		t.Errorf("%v %+v", err, res)
	}
}
