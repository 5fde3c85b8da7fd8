package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/reconciler/store"
)

// writeMesh makes a mesh directory with one service, whose route is `to`.
func writeMesh(t *testing.T, dir, to string) {
	t.Helper()
	for name, data := range map[string]string{
		"cue.mod/module.cue": "module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n",
		"mesh.cue": "package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\n" +
			"gateway: m.#Gateways\nexternal: m.#Externals\n",
		"a.cue": "package mesh\n\nservice: a: {\n\tports: http: {number: 80, protocol: \"http\"}\n\tversions: {v1: {}, v2: {}}\n\tsecurity: allow: [{from: [\"*\"]}]\n\troutes: all: to: " + to + "\n}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDiffWithWhatServes(t *testing.T) {
	dir, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	diff := func() (int, string, string) {
		var out, errw bytes.Buffer
		status := run(t.Context(), []string{"diff", "--dir", dir, "--state", state, "live"}, strings.NewReader(""), &out, &errw)
		return status, out.String(), errw.String()
	}
	writeMesh(t, dir, "v1: 100")
	if status, _, errw := diff(); status != 2 || !strings.Contains(errw, "no mesh serves") {
		t.Errorf("without a store: %d, %s", status, errw)
	}
	local, err := store.Open(state)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	if status, _, errw := diff(); status != 2 || !strings.Contains(errw, "nothing serves yet") {
		t.Errorf("with an empty store: %d, %s", status, errw)
	}
	m, err := compileDir(t.Context(), io.Discard, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := local.Save(&store.Generation{Commit: strings.Repeat("a", 40), Mesh: m}); err != nil {
		t.Fatal(err)
	}
	if status, out, errw := diff(); status != 0 || !strings.HasPrefix(out, "No request is treated differently") {
		t.Errorf("what serves is the working tree: %d, %s%s", status, out, errw)
	}
	writeMesh(t, dir, "{v1: 90, v2: 10}")
	if status, out, _ := diff(); status != 1 || !strings.Contains(out, "100 % → 90 %  [a.cue:7:") {
		t.Errorf("the working tree moved on: %d, %s", status, out)
	}
}
