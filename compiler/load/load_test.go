package load

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

func TestMain(m *testing.M) {
	MaybeRunChild()
	os.Exit(m.Run())
}

const moduleCUE = "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n"

const rootCUE = `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals
`

// tree of files with a module and a root; pairs are path, content.
func meshFS(pairs ...string) fstest.MapFS {
	fsys := fstest.MapFS{
		moduleFile: {Data: []byte(moduleCUE)},
		"mesh.cue": {Data: []byte(rootCUE)},
	}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

// inProcess loads without a child and fails on anything but diagnostics.
func inProcess(t *testing.T, fsys fstest.MapFS) (*intent.Mesh, diag.List) {
	t.Helper()
	m, diags, err := Mesh(t.Context(), fsys, Options{InProcess: true})
	if err != nil {
		t.Fatal(err)
	}
	return m, diags
}

// found prints diagnostics as "file:line:col-col CODE", one a line, so that
// tests judge place and code and not words.
func found(l diag.List) string {
	var b strings.Builder
	for _, d := range l {
		fmt.Fprintf(&b, "%s:%d:%d-%d %s\n", d.Range.File, d.Range.Start.Line, d.Range.Start.Col, d.Range.End.Col, d.Code)
	}
	return b.String()
}

func want(t *testing.T, l diag.List, lines ...string) {
	t.Helper()
	w := strings.Join(lines, "\n")
	if len(lines) > 0 {
		w += "\n"
	}
	if got := found(l); got != w {
		t.Errorf("diagnostics:\n%s\nwant:\n%s\nin words: %+v", got, w, l)
	}
}
